package lab

// kinds are the protocols of the lab.
func kinds() []kind {
	return []kind{
		{name: "ssh", spec: "RFC 4253", tcp: serveSSH},
		{name: "http", spec: "RFC 9110, RFC 9112", tcp: serveHTTP},
		{name: "dns", spec: "RFC 1035, RFC 7766", tcp: serveNames, udp: datagramDNS},
		{name: "raw", spec: "none", tcp: serveRaw},
		{name: "tarpit", spec: "none", tcp: serveTarpit},
	}
}
