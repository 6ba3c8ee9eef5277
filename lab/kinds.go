package lab

// kinds are the protocols of the lab. Each is written from its specification
// alone: the lab is another hand than the probes.
func kinds() []kind {
	return []kind{
		{name: "amqp", spec: "AMQP 0-9-1", tcp: serveAMQP},
		{name: "dns", iana: "domain", spec: "RFC 1035, RFC 7766", tcp: serveNames, udp: datagramDNS},
		{name: "ftp", spec: "RFC 959, RFC 4217", tcp: serveFTP},
		{name: "http", spec: "RFC 9110, RFC 9112", tcp: serveHTTP},
		{name: "imap", spec: "RFC 9051", tcp: serveIMAP},
		{name: "ldap", spec: "RFC 4511", tcp: serveLDAP},
		{name: "memcached", iana: "memcache", spec: "memcached protocol.txt", tcp: serveMemcached},
		{name: "mongodb", spec: "MongoDB wire protocol", tcp: serveMongoDB},
		{name: "mqtt", spec: "OASIS MQTT 3.1.1 and 5", tcp: serveMQTT},
		{name: "mysql", spec: "MySQL client/server protocol", tcp: serveMySQL},
		{name: "ntp", spec: "RFC 5905, RFC 9327", udp: datagramNTP},
		{name: "pop3", spec: "RFC 1939", tcp: servePOP3},
		{name: "postgresql", spec: "PostgreSQL frontend/backend protocol 3.0", tcp: servePostgreSQL},
		{name: "raw", spec: "none", tcp: serveRaw},
		{name: "rdp", iana: "ms-wbt-server", spec: "MS-RDPBCGR", tcp: serveRDP},
		{name: "redis", spec: "RESP", tcp: serveRedis},
		{name: "smb", iana: "microsoft-ds", spec: "MS-SMB2, MS-CIFS", tcp: serveSMB},
		{name: "smtp", spec: "RFC 5321", tcp: serveSMTP},
		{name: "snmp", spec: "RFC 3416, RFC 3414", udp: datagramSNMP},
		{name: "ssh", spec: "RFC 4253", tcp: serveSSH},
		{name: "tarpit", spec: "none", tcp: serveTarpit},
		{name: "telnet", spec: "RFC 854", tcp: serveTelnet},
		{name: "vnc", iana: "rfb", spec: "RFC 6143", tcp: serveVNC},
	}
}
