#!/bin/sh
# Stops the start with the name of each variable that a template asks for and nobody has set: envsubst
# would leave it out, and nginx would then fail with a riddle or, worse, start.
set -eu
templates=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
[ -r "$templates" ] || { echo "Cannot start: $templates cannot be read; run chmod -R a+rX gateway." >&2; exit 1; }
missing=0
for name in $(cat "$templates"/*.template | grep -o '\${GATEWAY_[A-Z_]*}' | tr -d '${}' | sort -u); do
    eval "value=\${$name:-}"
    [ -n "$value" ] || { echo "Cannot start: $name is missing." >&2; missing=1; }
done
exit "$missing"
