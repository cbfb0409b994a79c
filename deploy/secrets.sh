#!/bin/sh
# Writes the secrets that docker-compose.yml reads into .secrets/, once: what is there stays as it is.
#   PAGE_URL=https://hooks.example/page TICKET_URL=... WATCHDOG_URL=... sh deploy/secrets.sh [folder]
# Where messages go can be changed later: enricher.env and receivers/watchdog_url. Containers run as other users, so the
# files below can be read by all; the folder itself cannot be entered but by its owner (and by Docker).
set -eu
umask 022

folder=${1:-.secrets}
nowhere=http://nobody.invalid/

random() {
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}
write() {
  [ -e "$folder/$1" ] || printf '%s\n' "$2" >"$folder/$1"
}
# Addresses in a list are separated by commas, and the list is quoted, so that Compose reads no "$" or "#" in it.
listed() {
  printf '%s' "$1" | sed "s/,/%2C/g; s/'/%27/g"
}

mkdir -p "$folder/prometheus" "$folder/receivers"
chmod 700 "$folder"

write prometheus/worker_secret "$(random)"
write serving.env "VITRINE_WORKER_SECRET=$(cat "$folder/prometheus/worker_secret")"

write prometheus/enricher_token "$(random)"
token=$(cat "$folder/prometheus/enricher_token")
write receivers/enricher_token "$token"
write enricher.env "VITRINE_ENRICHER_TOKEN=$token
VITRINE_ENRICHER_FORWARD_URLS='page=$(listed "${PAGE_URL:-$nowhere}"),ticket=$(listed "${TICKET_URL:-$nowhere}")'"
write receivers/watchdog_url "${WATCHDOG_URL:-$nowhere}"

write grafana_password "$(random)"

printf 'secrets are in %s\n' "$folder"
if grep -q "$nowhere" "$folder/enricher.env"; then
  printf 'alerts reach nobody yet: put addresses into %s/enricher.env\n' "$folder"
fi
