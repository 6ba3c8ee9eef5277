package probe

// protocols are what an open TCP port can speak, in the order in which a port
// of a number that tells nothing is asked: most answer the request of HTTP in
// their own way, and so say whom to ask next.
var protocols = []*protocol{
	ssh, smtp, ftp, imap, pop3, mysql, vnc, telnet, // these speak first
	httpd, secure, smb, smbOld, rdp, ldap, postgresql, redis, mongodb, memcached, mqtt, amqp, domain,
}

// datagrams are what a UDP port can speak.
var datagrams = []*protocol{domain, snmp, ntp}

// secure stands for a TLS session, in which the others are looked for again.
var secure = &protocol{name: "tls", spec: "RFC 8446, RFC 5246", ports: []uint16{443, 465, 636, 853, 990, 992, 993, 995, 3269, 4443, 5671, 5986, 6380, 8443, 8883, 9443, 10443}}

// protocolNamed is the protocol of an IANA service name, nil when none is it.
func protocolNamed(service string) *protocol {
	for _, p := range protocols {
		if p.name == service {
			return p
		}
	}
	return nil
}
