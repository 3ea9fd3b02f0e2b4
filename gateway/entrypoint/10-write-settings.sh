#!/bin/sh
# Translates the settings into nginx directives, for both stacks. Writes to $GATEWAY_STATE/settings: http.conf
# for the http block, server.conf for every server, shop.conf for the shop's server, and others.conf for the
# server of all other hosts. An invalid setting stops the start with a message that names it.
set -eu
folder=$GATEWAY_STATE/settings
mkdir -p "$folder"

refuse() {
    echo "Cannot start: $1." >&2
    exit 1
}

# Splits a list at commas and spaces, without expanding file name patterns.
set -f
split() {
    printf '%s' "$1" | tr -s ', ' '  '
}

# read_number NAME DEFAULT
read_number() {
    eval "number=\${$1:-$2}"
    case $number in
        0* | *[!0-9]* | ??????*) refuse "$1 is '$number'; it must be a number from 1 to 99999" ;;
    esac
}

# limit NAME DEFAULT ZONE KEY: requests per second, with a burst of ten seconds' worth.
limit() {
    read_number "$1" "$2"
    echo "limit_req_zone $4 zone=$3:8m rate=${number}r/s;" >>"$folder/http.conf"
    echo "limit_req zone=$3 burst=${number}0 nodelay;" >>"$folder/server.conf"
}

: >"$folder/http.conf"
: >"$folder/server.conf"
: >"$folder/shop.conf"

# PRODUCT_CACHE=off measures catalog-service itself.
case ${PRODUCT_CACHE:-on} in
    on | off) echo "map '' \$product_cache { default ${PRODUCT_CACHE:-on}; }" >>"$folder/http.conf" ;;
    *) refuse "PRODUCT_CACHE is '$PRODUCT_CACHE'; it must be on or off" ;;
esac

# In production the token cookie has a prefix (`cookie_name` in shared/access.py).
case ${SHOPFLEET_ENV:-development} in
    development) cookie=token ;;
    production) cookie=__Host-token ;;
    *) refuse "SHOPFLEET_ENV is '$SHOPFLEET_ENV'; it must be development or production" ;;
esac
echo "map '' \$token_cookie_name { default $cookie; }" >>"$folder/http.conf"

# The hosts that the shop serves. Ports are not compared; nginx ignores case and a trailing dot.
hosts=
# serve NAME HOST: adds a host, with or without a port, from the setting NAME.
serve() {
    case $2 in
        *://*) host= ;;
        \[*\] | \[*\]:*) host=${2%%]*}] ;;
        *:*:*) host=[$2] ;;
        *) host=${2%%:*} ;;
    esac
    host=$(printf '%s' "${host%.}" | tr 'A-Z' 'a-z')
    case $host in
        \[*[!0-9a-f:.]*\] | \[\]) host= ;;
        \[*\]) ;;
        [!a-z0-9]* | *[!a-z0-9._-]*) host= ;;
    esac
    [ -n "$host" ] || refuse "$1 has '$2'; a host looks like shop.example"
    case " $hosts " in
        *" $host "*) ;;
        *) hosts="$hosts $host" ;;
    esac
}
for host in localhost 127.0.0.1 '[::1]'; do
    serve hosts "$host"
done
if [ -n "${PUBLIC_URL:-}" ]; then
    host=${PUBLIC_URL#*://}
    serve PUBLIC_URL "${host%%[/?#]*}"
fi
case ${BIND:-} in
    '' | 0.0.0.0 | :: | '[::]') ;;
    *) serve BIND "$BIND" ;;
esac
for host in $(split "${ALLOWED_HOSTS:-}"); do
    # The empty name matches requests without a host.
    case $host in
        \*) every_host='"" ~.' ;;
        *) serve ALLOWED_HOSTS "$host" ;;
    esac
done
echo "server_name ${every_host:-$hosts};" >>"$folder/shop.conf"

case ${RATE_LIMITS:-on} in
    on)
        limit RATE_LIMIT_PASSWORDS 20 passwords '$password_caller'
        limit RATE_LIMIT_SESSIONS 100 sessions '$session_caller'
        limit RATE_LIMIT_WRITES 50 writes '$write_caller'
        limit RATE_LIMIT_TOKEN 200 tokens '$caller_token'
        limit RATE_LIMIT_ANONYMOUS 200 anonymous '$anonymous_caller'
        limit RATE_LIMIT_ADDRESS 2000 addresses '$any_caller'
        read_number CONNECTION_LIMIT 500
        echo "limit_conn_zone \$binary_remote_addr zone=connections:2m;" >>"$folder/http.conf"
        echo "limit_conn connections $number;" >>"$folder/server.conf"
        ;;
    off) ;;
    *) refuse "RATE_LIMITS is '$RATE_LIMITS'; it must be on or off" ;;
esac

# The client address that a proxy reports is only trusted if the proxy is listed here.
if [ -n "${TRUSTED_PROXIES:-}" ]; then
    for proxy in $(split "$TRUSTED_PROXIES"); do
        case $proxy in
            *[!0-9a-fA-F.:/]* | [!0-9a-fA-F:]*)
                refuse "TRUSTED_PROXIES has '$proxy'; it must be an address, such as 10.0.0.1 or 10.0.0.0/8" ;;
        esac
        echo "set_real_ip_from $proxy;" >>"$folder/http.conf"
    done
    echo "real_ip_header X-Forwarded-For; real_ip_recursive on;" >>"$folder/http.conf"
fi

# With a certificate, the port uses TLS.
certificates=${TLS_CERTIFICATES:-$GATEWAY_HOME/tls}
if [ -e "$certificates/cert.pem" ] || [ -e "$certificates/key.pem" ]; then
    case $certificates in
        *[\"\$\\]*) refuse "TLS_CERTIFICATES is '$certificates'; the path must not contain \", \$ or \\" ;;
    esac
    for file in cert.pem key.pem; do
        [ -r "$certificates/$file" ] || refuse "TLS_CERTIFICATES: $certificates/$file is missing or not readable"
    done
    cat >>"$folder/server.conf" <<EOF
ssl_certificate "$certificates/cert.pem";
ssl_certificate_key "$certificates/key.pem";
include "$GATEWAY_HOME/snippets/tls.conf";
EOF
    listen="$GATEWAY_LISTEN ssl"
elif [ -n "${TLS_CERTIFICATES:-}" ]; then
    refuse "TLS_CERTIFICATES is '$TLS_CERTIFICATES'; it contains no cert.pem and key.pem"
else
    listen=$GATEWAY_LISTEN
fi
echo "listen $listen;" >>"$folder/shop.conf"
# No host has this name. An empty name would match requests without a host.
echo "listen $listen default_server; server_name @;" >"$folder/others.conf"

# Other origins whose pages may call the API.
if [ -n "${CORS_ORIGINS:-}" ]; then
    echo 'map $http_origin $cors_origin {' >>"$folder/http.conf"
    for origin in $(split "$CORS_ORIGINS"); do
        case $origin in
            *://*[!a-z0-9.:-]* | *://) ;;
            http://* | https://*) echo "    $origin \$http_origin;" >>"$folder/http.conf" && continue ;;
        esac
        refuse "CORS_ORIGINS has '$origin'; an origin looks like https://shop.example"
    done
    echo "    default ''; } include \"$GATEWAY_HOME/snippets/cors.conf\";" >>"$folder/http.conf"
    echo "include \"$GATEWAY_HOME/snippets/cors-answers.conf\";" >>"$folder/shop.conf"
fi
