package probe

import "github.com/vedette-hub/vedette"

// Weakness explains what a check of ours reports. Type is its place in the
// Reference Security Incident Taxonomy, "class: type".
type Weakness struct {
	ID    string // "check:NAME"
	Title string
	Type  string
	Why   string // what it means, for who runs the host
	Fix   string
}

// The types of the taxonomy's class Vulnerable.
const (
	weakCrypto  = "vulnerable: weak-crypto"
	amplifier   = "vulnerable: ddos-amplifier"
	unwanted    = "vulnerable: potentially-unwanted-accessible"
	disclosure  = "vulnerable: information-disclosure"
	wrongSystem = "vulnerable: vulnerable-system"
)

// Weaknesses are what our checks report.
var Weaknesses = []Weakness{
	{"check:telnet-open", "Telnet is open", unwanted,
		"Names, passwords and all that is typed cross the network unencrypted.",
		"Replace it by SSH, and close the port or limit it to the management network."},
	{"check:redis-no-auth", "Redis answers without a password", disclosure,
		"Whoever reaches the port reads and changes all data, and can often run commands on the host.",
		"Bind it to the inner network, set a password (requirepass or ACL), keep protected-mode on, and close the port."},
	{"check:memcached-open", "Memcached answers anybody", disclosure,
		"Whoever reaches the port reads and changes what applications cache, sessions included.",
		"Bind it to the inner network (-l), close the port, and turn UDP off (-U 0)."},
	{"check:mongodb-no-auth", "MongoDB lists its databases without a login", disclosure,
		"Whoever reaches the port reads, changes and deletes all data; such servers are held to ransom within hours.",
		"Turn authorization on (security.authorization), bind it to the inner network and close the port."},
	{"check:vnc-no-auth", "VNC needs no password", disclosure,
		"Whoever reaches the port sees and works the screen of the host.",
		"Set a password at least, and reach VNC through SSH or a VPN only."},
	{"check:mqtt-no-auth", "MQTT accepts clients without credentials", disclosure,
		"Whoever reaches the port reads the messages, and can send commands to devices.",
		"Turn anonymous clients off (allow_anonymous false), give each client credentials and topics, use TLS."},
	{"check:smb1", "SMB version 1 is offered", wrongSystem,
		"The version has no protection against tampering, and worms spread through it (CVE-2017-0144 and others).",
		"Turn SMB 1 off, require signing, and close port 445 to the internet."},
	{"check:rdp-no-nla", "Remote Desktop does not require Network Level Authentication", wrongSystem,
		"The host shows a session to whoever connects, before any proof of identity: flaws such as CVE-2019-0708 are reached without one.",
		"Require Network Level Authentication, and reach Remote Desktop through a VPN or a gateway."},
	{"check:open-resolver", "The name server resolves for anybody", amplifier,
		"It is abused to flood others with answers that are larger than the questions.",
		"Allow recursion to own networks only (BIND: allow-recursion), or turn it off."},
	{"check:ntp-amplifier", "The time server answers monlist", amplifier,
		"A small question gets up to a hundred times as much as its answer: it is abused to flood others (CVE-2013-5211).",
		"Update ntpd to 4.2.7p26 or newer, or set \"disable monitor\" and \"restrict default noquery\"."},
	{"check:tls-legacy-protocol", "TLS 1.1 or older is offered", weakCrypto,
		"SSL 3.0, TLS 1.0 and TLS 1.1 have known flaws and are no longer to be used (RFC 7568, RFC 8996).",
		"Offer TLS 1.2 and TLS 1.3 only."},
	{"check:tls-expired", "The certificate is no longer valid", weakCrypto,
		"Users learn to click warnings away, and machines refuse to connect.",
		"Renew the certificate, and let that happen by itself (RFC 8555)."},
	{"check:tls-untrusted", "The certificate comes from no trusted authority", weakCrypto,
		"Who connects cannot tell the server from an impostor.",
		"Install a certificate of a public authority, with the intermediate certificates."},
	{"check:tls-name-mismatch", "The certificate is for other names", weakCrypto,
		"Who connects by this name gets a warning, or no connection.",
		"Add the name to the certificate, or stop offering the service under it."},
	{"check:tls-weak-key", "The certificate has a weak key or signature", weakCrypto,
		"RSA keys under 2048 bits and signatures with MD5 or SHA-1 can be forged.",
		"Make a new key (ECDSA P-256, or RSA of 2048 bits or more) and have it signed with SHA-256."},
	{"check:dangling-cname", "An alias leads to a name that does not exist", wrongSystem,
		"Whoever can create the target, at a provider or by registering its domain, serves what he likes under this name.",
		"Remove the alias, or create its target again; remove aliases before what they lead to."},
	{"check:dnssec-bogus", "The signatures of the name do not hold", wrongSystem,
		"Who validates DNSSEC does not reach the name; its mail and pages are gone for them.",
		"Sign the zone again, and make the DS record at the parent match its keys (RFC 6781)."},
	{"check:zone-transfer", "A name server hands out the whole zone", disclosure,
		"Anybody reads every name of the zone, those of inner and forgotten hosts too.",
		"Allow transfers to the secondary servers only, by address and key (BIND: allow-transfer)."},
	{"check:spf-missing", "The domain has no SPF record", wrongSystem,
		"Receivers cannot tell which hosts may send mail as the domain, so that anybody may.",
		"Publish a TXT record \"v=spf1 ... -all\" that names the hosts that send; \"v=spf1 -all\" where none does (RFC 7208)."},
	{"check:spf-invalid", "The SPF record is not valid", wrongSystem,
		"Receivers stop with an error and judge mail as if there were no record, or turn good mail away.",
		"Keep one record, repair the term the note names, and remove includes that lead nowhere."},
	{"check:spf-too-many-lookups", "The SPF record needs more than 10 lookups", wrongSystem,
		"Receivers stop after 10 (RFC 7208, section 4.6.4): good mail fails, and forged mail is judged as if there were no record.",
		"Remove includes of services that are no longer used, replace a and mx by ip4 and ip6, and give services a subdomain of their own."},
	{"check:spf-allows-all", "The SPF record allows any host", wrongSystem,
		"Forged mail of the domain passes SPF, and with it DMARC.",
		"End the record in -all, and name only the hosts that send."},
	{"check:dmarc-missing", "The domain has no DMARC policy", wrongSystem,
		"Receivers deliver mail that carries the domain as its author and comes from anybody.",
		"Publish a TXT record at _dmarc with p=none and rua first, read the reports, then go to quarantine and reject."},
	{"check:dmarc-invalid", "The DMARC record is not valid", wrongSystem,
		"Receivers pass over a record they cannot read: it protects nothing.",
		"Publish exactly one record that begins with v=DMARC1 and repair what the note names."},
	{"check:dmarc-none", "The DMARC policy is none", wrongSystem,
		"Receivers report forged mail and deliver it all the same.",
		"Once the reports show that own mail passes, set p (and sp) to quarantine, then to reject."},
	{"check:dkim-weak-key", "A DKIM key is too short", weakCrypto,
		"RSA keys below 1024 bits can be computed in hours: whoever does signs mail as the domain.",
		"Make a key of 2048 bits under a new selector, and remove the old one a few days later (RFC 8301)."},
	{"check:mta-sts-invalid", "The MTA-STS policy is not valid", wrongSystem,
		"Senders cannot use the policy, so that an attacker on the path reads mail; one that leaves a mail server out holds mail up.",
		"Serve the policy at https://mta-sts.DOMAIN/.well-known/mta-sts.txt with a valid certificate, naming every mail exchanger (RFC 8461)."},
	{"check:exposed-git", "The folder .git is readable", disclosure,
		"Whoever asks gets the source of the site with its history, and often passwords in it.",
		"Deny /.git/ in the web server, deploy without the folder, and change the secrets that stood in it."},
	{"check:directory-listing", "The web server lists a folder", disclosure,
		"Whoever asks sees all files, the forgotten ones included.",
		"Turn listings off (Apache httpd: Options -Indexes, nginx: autoindex off), or put an index page there."},
	{"check:apache-server-status", "Apache httpd shows its status to anybody", disclosure,
		"The page shows who asks for what at the moment, with addresses and query strings.",
		"Limit /server-status to the machine itself (Require local)."},
	{"check:security-txt-expired", "The contact for reports of vulnerabilities is out of date", "other: other",
		"security.txt must not be used after its Expires (RFC 9116 section 2.5.5): a report may reach nobody.",
		"Renew the file at /.well-known/security.txt, at least once a year."},
}

// report is a weakness that a check proved; the note is a sentence.
func report(weakness, note string) vedette.Report {
	return vedette.Report{Weakness: weakness, Verdict: vedette.Confirmed, Note: note}
}
