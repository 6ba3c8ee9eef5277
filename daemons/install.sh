#!/bin/sh
# Installs the daemons that the harness of this folder holds vedette against,
# as packages of Debian, without starting one: policy-rc.d forbids it for as
# long as this runs. Exits with 3 where it cannot work: not root, not Debian.
# No time server is among them: it would put out the one that the machine has.
set -eu

packages="nmap iproute2 openssh-server dropbear-bin nginx-light apache2 lighttpd haproxy
squid exim4-daemon-light dovecot-imapd dovecot-pop3d vsftpd bind9 unbound
redis-server memcached postgresql mariadb-server mosquitto slapd snmpd samba"

missing=""
for p in $packages; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed$' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ ! -e /etc/debian_version ] || ! command -v apt-get >/dev/null; then
	echo "daemons: no Debian here: nothing to hold vedette against" >&2
	exit 3
fi
if [ "$(id -u)" != 0 ]; then
	echo "daemons: only root can install:$missing" >&2
	exit 3
fi

policy=/usr/sbin/policy-rc.d
kept=""
if [ -e "$policy" ]; then
	kept=$(mktemp)
	cp -p "$policy" "$kept"
fi
restore() {
	rm -f "$policy"
	if [ -n "$kept" ]; then
		cp -p "$kept" "$policy"
		rm -f "$kept"
	fi
}
trap restore EXIT
trap 'exit 1' HUP INT TERM
rm -f "$policy"
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words
apt-get install -y --no-install-recommends --no-upgrade $missing ||
	{ apt-get update && apt-get install -y --no-install-recommends --no-upgrade $missing; }
