#!/bin/sh
# Builds what `make compare` measures beside Edgelog, from the Go module proxy: Telegraf with only the plugins that are
# used, and nats-server. Usage: peers.sh DIR TELEGRAF_VERSION NATS_VERSION. What is there already is kept.
set -eu
go=${GO:-go}
mkdir -p "$1"
dir=$(cd "$1" && pwd)
if [ ! -x "$dir/telegraf" ]; then
	echo "peers: building Telegraf $2 (a few minutes)" >&2
	src=$(cd "$dir" && GOFLAGS=-mod=mod $go mod download -json "github.com/influxdata/telegraf@$2" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')
	rm -rf "$dir/src" && cp -r "$src" "$dir/src" && chmod -R u+w "$dir/src"
	(cd "$dir/src" && nice $go build -tags custom,inputs.http_listener_v2,inputs.mqtt_consumer,outputs.mqtt,outputs.file,parsers.influx,serializers.influx \
		-o "$dir/telegraf" ./cmd/telegraf)
	rm -rf "$dir/src"
fi
if [ ! -x "$dir/nats-server" ]; then
	echo "peers: building nats-server $3" >&2
	(cd "$dir" && GOFLAGS=-mod=mod GOBIN="$dir" nice $go install "github.com/nats-io/nats-server/v2@$3")
fi
