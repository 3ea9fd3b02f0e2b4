#!/bin/sh
# Stops the start if a template uses a variable that is not set, and names it. envsubst would insert an empty
# string, and nginx would fail with an unclear error or, worse, start.
set -eu
templates=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
[ -r "$templates" ] || { echo "Cannot start: $templates cannot be read; run chmod -R a+rX gateway." >&2; exit 1; }
missing=0
for name in $(cat "$templates"/*.template | grep -o '\${GATEWAY_[A-Z_]*}' | tr -d '${}' | sort -u); do
    eval "value=\${$name:-}"
    [ -n "$value" ] || { echo "Cannot start: $name is missing." >&2; missing=1; }
done
exit "$missing"
