#!/bin/bash
# Starts RabbitMQ with reefmesh's configuration in the official image, whose file system may be read-only: the configuration is put
# together in a tmpfs, from the environment; the certificate and the data are in the data volume.
set -euo pipefail
here=$(dirname "$0")/rabbitmq conf=${RABBITMQ_CONFIG_FILE%/*} data=${REEFMESH_DATA:-/var/lib/rabbitmq}
umask 077

mkdir -p "$conf/conf.d"
cp "$here/rabbitmq.conf" "$here/enabled_plugins" "$conf/"

# The users of definitions.json with their passwords, which the broker hashes when it reads them. (definitions.py needs Python.)
definitions=$(cat "$here/definitions.json")
for user in $(grep -o '{"name": "[a-z]*", "tags"' "$here/definitions.json" | cut -d'"' -f4); do
    variable=BROKER_PASSWORD_${user^^}
    password=${!variable:-}
    case $password in
    '' | *[!A-Za-z0-9_.~-]*)
        echo "reefmesh: $variable must be set, to letters, digits and _ . ~ - alone" >&2
        exit 78
        ;;
    esac
    definitions=${definitions/"{\"name\": \"$user\", "/"{\"name\": \"$user\", \"password\": \"$password\", "}
done
printf '%s\n' "$definitions" >"$conf/definitions.json"

# A certificate of its own for the TLS ports, made once. To bring another: put server.pem, server.key and ca.pem there. A device
# may show a certificate that an authority in ca.pem signed: this one signs none.
tls=$data/tls
if [ ! -f "$tls/server.pem" ]; then
    mkdir -p "$tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 3650 -subj /CN=rabbitmq \
        -addext subjectAltName=DNS:rabbitmq,DNS:localhost,IP:127.0.0.1 -keyout "$tls/server.key" -out "$tls/new.pem" 2>/dev/null
    cp "$tls/new.pem" "$tls/ca.pem"
    mv "$tls/new.pem" "$tls/server.pem"
fi
cat >"$conf/conf.d/90-local.conf" <<END
listeners.tcp.1 = ${BROKER_BIND:-0.0.0.0}:${BROKER_AMQP_PORT:-5672}
listeners.ssl.1 = ${BROKER_BIND:-0.0.0.0}:${BROKER_AMQP_TLS_PORT:-5671}
mqtt.listeners.tcp.1 = ${BROKER_BIND:-0.0.0.0}:${BROKER_MQTT_PORT:-1883}
mqtt.listeners.ssl.1 = ${BROKER_BIND:-0.0.0.0}:${BROKER_MQTT_TLS_PORT:-8883}
prometheus.tcp.ip = ${BROKER_BIND:-0.0.0.0}
prometheus.tcp.port = ${BROKER_PROMETHEUS_PORT:-15692}
ssl_options.cacertfile = $tls/ca.pem
ssl_options.certfile = $tls/server.pem
ssl_options.keyfile = $tls/server.key
load_definitions = $conf/definitions.json
vm_memory_high_watermark.absolute = ${BROKER_MEMORY_LIMIT:-600MB}
END
export RABBITMQ_LOGS=- RUNNING_UNDER_SYSTEMD=true
# Erlang's schedulers wait for work by turning, which takes the processor from the services beside them.
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+sbwt none +sbwtdcpu none +sbwtdio none"
# exec, and RUNNING_UNDER_SYSTEMD (the script becomes the broker): SIGTERM goes to Erlang, which stops the broker in order.
exec rabbitmq-server
