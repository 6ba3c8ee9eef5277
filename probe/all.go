package probe

// All are the checks, in the order in which they run on a subject.
var All = []Check{
	DNS,
	Mail,
	MTASTS,
	ZoneTransfer,
	Service,
	TLS,
	HTTP,
	HTTPSecurityTxt,
	HTTPGit,
	HTTPServerStatus,
	Nmap,
}
