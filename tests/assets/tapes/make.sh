#!/bin/bash
# Makes nock.json, polly.har, mountebank.json and wiremock.json with the tools themselves. Needs node 20, npm and Java 17.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
cp "$here/shop.mjs" "$here/record.mjs" "$work"
cd "$work"
npm install --silent --no-audit --no-fund nock@13 @pollyjs/core@6 @pollyjs/adapter-node-http@6 @pollyjs/persister-fs@6 \
  mountebank@2 wiremock@3
node shop.mjs 18099 &
node_modules/.bin/mb --nologfile --port 12525 --host 127.0.0.1 >mb.log 2>&1 &
java -jar node_modules/wiremock/build/wiremock-standalone-*.jar --port 18081 --bind-address 127.0.0.1 --root-dir "$work/wm" >wm.log 2>&1 &
sleep 10
json='content-type: application/json'
ask() {
  for path in 'items/tea?size=2' zip bin 'items/tea?size=2'; do curl -s "$1/$path" -o /dev/null; done
  curl -s -H "$json" -d '{"amount":"9.50"}' "$1/charges" -o /dev/null
}
curl -s http://127.0.0.1:12525/imposters -H "$json" -o /dev/null -d '{"port":14545,"protocol":"http","name":"shop","stubs":[
  {"responses":[{"proxy":{"to":"http://127.0.0.1:18099","mode":"proxyAlways","addWaitBehavior":true,"predicateGenerators":
  [{"matches":{"method":true,"path":true,"query":true,"body":true}}]}}]}]}'
ask http://127.0.0.1:14545
curl -s 'http://127.0.0.1:12525/imposters?replayable=true&removeProxies=true' >"$here/mountebank.json"
curl -s http://127.0.0.1:18081/__admin/recordings/start -d '{"targetBaseUrl":"http://127.0.0.1:18099"}'
ask http://127.0.0.1:18081
curl -s -X POST http://127.0.0.1:18081/__admin/recordings/stop >"$here/wiremock.json"
node record.mjs nock "$here/nock.json"
node record.mjs polly "$work"
cp "$(find "$work" -name '*.har' -path '*recording.har')" "$here/polly.har"
