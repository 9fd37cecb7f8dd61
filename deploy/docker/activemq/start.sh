#!/bin/bash
# Starts ActiveMQ with reefmesh's broker.xml in the official image, whose file system may be read-only: the configuration is put
# together in a tmpfs, from the environment; the key store and the journal are in the data volume.
set -euo pipefail
here=$(dirname "$0") conf=/run/reefmesh data=$ACTIVEMQ_HOME/data
umask 077

properties=$conf/reefmesh.properties
cat >"$properties" <<EOF
reefmesh.bind = 0.0.0.0
reefmesh.port.stomp = 61613
reefmesh.port.stomp-tls = 61614
reefmesh.port.mqtt = 1883
reefmesh.port.mqtt-tls = 8883
reefmesh.data = $data
reefmesh.store.limit = ${BROKER_STORE_LIMIT:-4 gb}
reefmesh.temp.limit = 256 mb
EOF
# Every user that broker.xml names.
for user in $(grep -o 'reefmesh\.password\.[a-z]*' "$here/broker.xml" | sort -u | sed 's/.*\.//'); do
    variable=BROKER_PASSWORD_${user^^}
    password=${!variable:-}
    case $password in
    '' | *[!A-Za-z0-9_.~-]*)
        echo "reefmesh: $variable must be set, to letters, digits and _ . ~ - alone" >&2
        exit 78
        ;;
    esac
    echo "reefmesh.password.$user = $password" >>"$properties"
done

# A certificate of its own for the TLS ports, made once. To bring another: put activemq.p12 and its password file there.
tls=$data/tls
if [ ! -f "$tls/activemq.p12" ]; then
    mkdir -p "$tls"
    tr -d '\n-' </proc/sys/kernel/random/uuid >"$tls/password"
    store=(-storetype PKCS12 -keystore "$tls/new.p12" -storepass:file "$tls/password")
    keytool -genkeypair -alias broker -keyalg RSA -keysize 3072 -validity 3650 -dname "CN=activemq" \
        -ext "san=dns:activemq,dns:localhost,ip:127.0.0.1" "${store[@]}" 2>/dev/null
    keytool -exportcert -rfc -alias broker "${store[@]}" >"$tls/ca.pem" 2>/dev/null
    mv "$tls/new.p12" "$tls/activemq.p12"
fi
{
    echo "reefmesh.tls.keystore = $tls/activemq.p12"
    echo "reefmesh.tls.password = $(cat "$tls/password")"
} >>"$properties"

cp "$here/broker.xml" "$here/log4j2.properties" "$conf/"
cd "$data"
# exec: SIGTERM goes to Java, whose shutdown hook closes the journal.
exec java -Xmx"${BROKER_HEAP:-512m}" -Djava.io.tmpdir=/tmp -Dlog4j2.disable.jmx=true \
    -Dactivemq.home="$ACTIVEMQ_HOME" -Dactivemq.base="$ACTIVEMQ_HOME" -Dactivemq.conf="$conf" -Dactivemq.data="$data" \
    -jar "$ACTIVEMQ_HOME/bin/activemq.jar" start "xbean:file:$conf/broker.xml"
