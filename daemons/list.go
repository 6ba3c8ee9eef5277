package main

// daemon is one program that is begun, with what dpkg-query knows of it. In
// files, before and run stand {dir} for its folder, {addr} for its address,
// {cert} and {key} for a certificate of its own.
type daemon struct {
	name string
	pkg  string // whose version dpkg-query tells
	// product is vendor/product of the CPE dictionary, more where it or nmap has
	// more than one name for it; without a vendor it is nmap's title.
	product []string
	addr    string
	tcp     []uint16 // the first are the usual ones, the last may be another's
	udp     []uint16
	user    string            // that it runs as, where it does not leave root by itself
	owner   string            // of its folder, where it is another than user
	files   map[string]string // in its folder
	dirs    []string          // in its folder, that it writes to
	before  [][]string        // programs to run first
	run     []string
	env     []string
}

// list is what is held against. Each has an address of 127.0.0.0/8 to itself;
// none reaches out, none keeps anything.
var list = []daemon{
	{name: "openssh", pkg: "openssh-server", product: []string{"openbsd/openssh"}, addr: "127.30.0.1", tcp: []uint16{22, 8443},
		files: map[string]string{"sshd_config": `ListenAddress {addr}:22
ListenAddress {addr}:8443
HostKey {dir}/host
PidFile {dir}/pid
UsePAM no
PasswordAuthentication no
`},
		before: [][]string{{"/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "{dir}/host"}},
		run:    []string{"/usr/sbin/sshd", "-D", "-e", "-f", "{dir}/sshd_config"}},
	{name: "dropbear", pkg: "dropbear-bin", product: []string{"dropbear_ssh_project/dropbear_ssh", "matt_johnston/dropbear_ssh_server"}, addr: "127.30.0.2", tcp: []uint16{22},
		before: [][]string{{"/usr/bin/dropbearkey", "-t", "ed25519", "-f", "{dir}/host"}},
		run:    []string{"/usr/sbin/dropbear", "-F", "-E", "-r", "{dir}/host", "-p", "{addr}:22", "-P", "{dir}/pid"}},
	{name: "nginx", pkg: "nginx", product: []string{"f5/nginx", "nginx/nginx", "igor_sysoev/nginx"}, addr: "127.30.0.3", tcp: []uint16{80, 443, 2525},
		files: map[string]string{"nginx.conf": `user www-data; pid {dir}/pid; worker_processes 1; error_log {dir}/error.log;
events {}
http {
  access_log off; root {dir}/www;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server { listen {addr}:80; listen {addr}:2525; listen {addr}:443 ssl; ssl_certificate {cert}; ssl_certificate_key {key}; }
}
`}, dirs: []string{"www"},
		run: []string{"/usr/sbin/nginx", "-p", "{dir}", "-e", "{dir}/error.log", "-c", "{dir}/nginx.conf", "-g", "daemon off;"}},
	{name: "apache2", pkg: "apache2", product: []string{"apache/http_server"}, addr: "127.30.0.4", tcp: []uint16{80, 6380},
		files: map[string]string{"apache2.conf": `ServerRoot {dir}
ServerName apache.daemons.example
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
Listen {addr}:80
Listen {addr}:6380
User www-data
Group www-data
PidFile {dir}/pid
ErrorLog {dir}/error.log
Mutex file:{dir} default
DocumentRoot {dir}/www
ServerTokens OS
StartServers 1
`}, dirs: []string{"www"},
		run: []string{"/usr/sbin/apache2", "-DFOREGROUND", "-f", "{dir}/apache2.conf"}},
	{name: "lighttpd", pkg: "lighttpd", product: []string{"lighttpd/lighttpd"}, addr: "127.30.0.5", tcp: []uint16{80, 21},
		files: map[string]string{"lighttpd.conf": `server.document-root = "{dir}/www"
server.bind = "{addr}"
server.port = 80
server.username = "www-data"
$SERVER["socket"] == "{addr}:21" { }
`}, dirs: []string{"www"},
		run: []string{"/usr/sbin/lighttpd", "-D", "-f", "{dir}/lighttpd.conf"}},
	{name: "haproxy", pkg: "haproxy", product: []string{"haproxy/haproxy"}, addr: "127.30.0.6", tcp: []uint16{80},
		files: map[string]string{"haproxy.cfg": `defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 5s
frontend f
  bind {addr}:80
  default_backend none
backend none
`},
		run: []string{"/usr/sbin/haproxy", "-db", "-f", "{dir}/haproxy.cfg"}},
	{name: "squid", pkg: "squid", product: []string{"squid-cache/squid"}, addr: "127.30.0.7", tcp: []uint16{3128},
		files: map[string]string{"squid.conf": `http_port {addr}:3128
pid_filename {dir}/pid
cache_effective_user proxy
access_log none
cache_log {dir}/cache.log
coredump_dir {dir}
cache deny all
http_access deny all
pinger_enable off
icp_port 0
visible_hostname squid.daemons.example
dns_nameservers 127.30.0.11
netdb_filename none
`}, owner: "proxy",
		run: []string{"/usr/sbin/squid", "-N", "-f", "{dir}/squid.conf"}},
	{name: "exim4", pkg: "exim4-daemon-light", product: []string{"exim/exim"}, addr: "127.30.0.8", tcp: []uint16{25, 8025},
		files: map[string]string{"exim.conf": `primary_hostname = mail.daemons.example
spool_directory = {dir}/spool
log_file_path = {dir}/%slog
pid_file_path = {dir}/pid
local_interfaces = {addr}
daemon_smtp_ports = 25 : 8025
tls_advertise_hosts =
host_lookup =
rfc1413_query_timeout = 0s
queue_only
begin acl
begin routers
begin transports
`}, dirs: []string{"spool"}, owner: "Debian-exim",
		run: []string{"/usr/sbin/exim4", "-bdf", "-C", "{dir}/exim.conf"}},
	{name: "dovecot", pkg: "dovecot-core", product: []string{"dovecot/dovecot"}, addr: "127.30.0.9", tcp: []uint16{110, 143, 993, 5000},
		files: map[string]string{"dovecot.conf": `base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
protocols = imap pop3
listen = {addr}
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
passdb {
  driver = static
  args = nopassword=n
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}
service imap-login {
  inet_listener other {
    port = 5000
  }
}
`}, dirs: []string{"state"},
		run: []string{"/usr/sbin/dovecot", "-F", "-c", "{dir}/dovecot.conf"}},
	{name: "vsftpd", pkg: "vsftpd", product: []string{"vsftpd_project/vsftpd", "beasts/vsftpd", "vsftpd/vsftpd"}, addr: "127.30.0.10", tcp: []uint16{21},
		files: map[string]string{"vsftpd.conf": `background=NO
listen=YES
listen_ipv6=NO
listen_address={addr}
anonymous_enable=YES
local_enable=NO
anon_root={dir}/empty
secure_chroot_dir={dir}/empty
xferlog_enable=NO
`, "empty/none": ""},
		run: []string{"/usr/sbin/vsftpd", "{dir}/vsftpd.conf"}},
	{name: "bind9", pkg: "bind9", product: []string{"isc/bind"}, addr: "127.30.0.11", tcp: []uint16{53}, udp: []uint16{53},
		files: map[string]string{"named.conf": `options {
  directory "{dir}/work"; pid-file "{dir}/work/pid"; session-keyfile "{dir}/work/session.key";
  listen-on { {addr}; }; listen-on-v6 { none; }; query-source address {addr};
  recursion no; notify no; dnssec-validation no; allow-transfer { none; };
};
controls { };
zone "daemons.example" { type primary; file "{dir}/zone"; };
`, "zone": "$TTL 60\n@ SOA ns.daemons.example. hostmaster.daemons.example. 1 60 60 60 60\n@ NS ns\nns A {addr}\n"},
		dirs: []string{"work"}, owner: "bind",
		run: []string{"/usr/sbin/named", "-g", "-4", "-c", "{dir}/named.conf", "-u", "bind"}},
	{name: "unbound", pkg: "unbound", product: []string{"nlnetlabs/unbound"}, addr: "127.30.0.12", tcp: []uint16{53}, udp: []uint16{53},
		files: map[string]string{"unbound.conf": `server:
  interface: {addr}
  outgoing-interface: {addr}
  do-ip6: no
  chroot: ""
  username: "unbound"
  directory: "{dir}"
  pidfile: "{dir}/work/pid"
  use-syslog: no
  module-config: "iterator"
  access-control: 127.0.0.0/8 allow
  local-zone: "." refuse
remote-control:
  control-enable: no
`}, dirs: []string{"work"}, owner: "unbound",
		run: []string{"/usr/sbin/unbound", "-d", "-p", "-c", "{dir}/unbound.conf"}},
	{name: "redis", pkg: "redis-server", product: []string{"redis/redis", "redislabs/redis", "/Redis key-value store"}, addr: "127.30.0.13", tcp: []uint16{6379}, user: "redis",
		run: []string{"/usr/bin/redis-server", "--bind", "{addr}", "--port", "6379", "--save", "", "--dir", "{dir}", "--logfile", "{dir}/log"}},
	{name: "redis elsewhere", pkg: "redis-server", product: []string{"redis/redis", "redislabs/redis", "/Redis key-value store"}, addr: "127.30.0.14", tcp: []uint16{8081}, user: "redis",
		run: []string{"/usr/bin/redis-server", "--bind", "{addr}", "--port", "8081", "--save", "", "--dir", "{dir}", "--logfile", "{dir}/log"}},
	{name: "memcached", pkg: "memcached", product: []string{"memcached/memcached"}, addr: "127.30.0.15", tcp: []uint16{11211, 9999}, user: "nobody",
		run: []string{"/usr/bin/memcached", "-l", "{addr}:11211,{addr}:9999", "-U", "0", "-m", "16"}},
	{name: "postgresql", pkg: "postgresql-15", product: []string{"postgresql/postgresql"}, addr: "127.30.0.16", tcp: []uint16{5432}, user: "postgres",
		before: [][]string{{"/usr/lib/postgresql/15/bin/initdb", "--no-sync", "-A", "scram-sha-256", "--pwfile", "{dir}/password", "-D", "{dir}/data"}},
		files:  map[string]string{"password": "unused\n"},
		run:    []string{"/usr/lib/postgresql/15/bin/postgres", "-D", "{dir}/data", "-c", "listen_addresses={addr}", "-c", "unix_socket_directories={dir}", "-c", "port=5432"}},
	{name: "mariadb", pkg: "mariadb-server", product: []string{"mariadb/mariadb"}, addr: "127.30.0.17", tcp: []uint16{3306, 1521}, user: "mysql",
		before: [][]string{{"/usr/bin/mariadb-install-db", "--no-defaults", "--datadir={dir}/data", "--skip-test-db", "--auth-root-authentication-method=normal"}},
		run: []string{"/usr/sbin/mariadbd", "--no-defaults", "--datadir={dir}/data", "--socket={dir}/socket", "--pid-file={dir}/pid",
			"--bind-address={addr}", "--port=3306", "--extra-port=1521"}},
	{name: "mosquitto", pkg: "mosquitto", product: []string{"eclipse/mosquitto", "/mosquitto"}, addr: "127.30.0.18", tcp: []uint16{1883, 8888}, user: "mosquitto",
		files: map[string]string{"mosquitto.conf": "listener 1883 {addr}\nlistener 8888 {addr}\nallow_anonymous true\npersistence false\n"},
		run:   []string{"/usr/sbin/mosquitto", "-c", "{dir}/mosquitto.conf"}},
	{name: "slapd", pkg: "slapd", product: []string{"openldap/openldap"}, addr: "127.30.0.19", tcp: []uint16{389},
		files: map[string]string{"slapd.conf": `include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {dir}/pid
database mdb
directory {dir}/data
suffix dc=daemons,dc=example
`}, dirs: []string{"data"}, owner: "openldap",
		run: []string{"/usr/sbin/slapd", "-d", "0", "-f", "{dir}/slapd.conf", "-u", "openldap", "-g", "openldap", "-h", "ldap://{addr}:389"}},
	{name: "snmpd", pkg: "snmpd", product: []string{"net-snmp/net-snmp"}, addr: "127.30.0.20", udp: []uint16{161}, env: []string{"SNMP_PERSISTENT_DIR={dir}"},
		files: map[string]string{"snmpd.conf": "sysName daemons.example\n"},
		run:   []string{"/usr/sbin/snmpd", "-f", "-Lo", "-C", "-c", "{dir}/snmpd.conf", "udp:{addr}:161"}},
	{name: "samba", pkg: "samba", product: []string{"samba/samba"}, addr: "127.30.0.21", tcp: []uint16{139, 445},
		files: map[string]string{"smb.conf": `[global]
workgroup = DAEMONS
netbios name = DAEMONS
server role = standalone server
interfaces = {addr}/8
bind interfaces only = yes
smb ports = 445 139
log file = {dir}/log
private dir = {dir}/private
lock directory = {dir}/lock
state directory = {dir}/state
cache directory = {dir}/cache
pid directory = {dir}/pids
ncalrpc dir = {dir}/ncalrpc
load printers = no
disable spoolss = yes
`}, dirs: []string{"private", "lock", "state", "cache", "pids", "ncalrpc"},
		run: []string{"/usr/sbin/smbd", "-F", "--no-process-group", "--debug-stdout", "-s", "{dir}/smb.conf"}},
}
