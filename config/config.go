// Package config reads what the operator decides: one YAML file, decoded
// strictly. Every zero value is sane; Describe tells what each key means.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/vedette-hub/vedette"
)

// Config is the file. The tag about is what Describe prints.
type Config struct {
	Survey Survey `yaml:"survey" json:"survey" about:"how constituents are looked at"`
	Mail   Mail   `yaml:"mail" json:"mail" about:"how mails are sent"`
	OIDC   []OIDC `yaml:"oidc" json:"oidc" about:"providers of identities that people sign in with"`
	Team   Team   `yaml:"team" json:"team" about:"who publishes, as publications say it"`
	Alerts Alerts `yaml:"alerts" json:"alerts" about:"what the line drafts"`
	Feeds  Feeds  `yaml:"feeds" json:"feeds" about:"what of this machine feeds may reach"`
	API    API    `yaml:"api" json:"api" about:"the REST interface"`

	Webhooks []Webhook `yaml:"webhooks" json:"webhooks" about:"programs of constituents that are told of alerts (Standard Webhooks)"`
}

// Alerts are what the line drafts by itself.
type Alerts struct {
	New Duration `yaml:"new" json:"new" about:"how long an exploitation is new, as 720h: a newer one gets an alert of its own, an older one goes into the known exploited exposure of its constituent; 720h (30 days) when empty"`
}

// Window is how long an exploitation is new.
func (a Alerts) Window() time.Duration {
	if a.New == 0 {
		return 30 * 24 * time.Hour
	}
	return time.Duration(a.New)
}

// API is the REST interface.
type API struct {
	Calls int `yaml:"calls" json:"calls" about:"calls a minute of one person or token; 6000 when 0"`
}

// Team is who publishes.
type Team struct {
	Name    string `yaml:"name" json:"name" about:"of the team, as Example CSIRT"`
	Contact string `yaml:"contact" json:"contact" about:"where questions about a publication go: mail address, telephone, hours"`
}

// Webhook is a program of a constituent that is told of alerts. Its secret is
// whsec_ and 24 to 64 bytes in base64 (Standard Webhooks), by reference.
type Webhook struct {
	Name          string `yaml:"name" json:"name" about:"lower-case letters, digits and -"`
	Constituent   string `yaml:"constituent" json:"constituent" about:"whose it is"`
	URL           string `yaml:"url" json:"url" about:"where messages are posted"`
	SecretFile    string `yaml:"secret_file" json:"secret_file,omitempty" about:"file with the secret that signs"`
	SecretEnv     string `yaml:"secret_env" json:"secret_env,omitempty" about:"or the environment variable with it"`
	OldSecretFile string `yaml:"old_secret_file" json:"old_secret_file,omitempty" about:"file with the secret of before, which signs as well until everybody has the new one"`
	OldSecretEnv  string `yaml:"old_secret_env" json:"old_secret_env,omitempty" about:"or the environment variable with it"`
}

// Mail is how mails are sent.
type Mail struct {
	Relay   string   `yaml:"relay" json:"relay" about:"SMTP relay as host:port; without one what is owed waits"`
	From    string   `yaml:"from" json:"from" about:"address of the hub; answers go there"`
	TLS     string   `yaml:"tls" json:"tls" about:"starttls (required), tls from the first byte, or none for a relay on this machine; starttls when empty"`
	Base    string   `yaml:"base" json:"base" about:"address of the pages in links, as https://hub.example"`
	Timeout Duration `yaml:"timeout" json:"timeout" about:"of one mail, as 20s; 20s when empty"`

	User         string `yaml:"user" json:"user" about:"name to authenticate with, when the relay wants one; never without TLS"`
	PasswordFile string `yaml:"password_file" json:"password_file" about:"file that holds the password of user"`
	PasswordEnv  string `yaml:"password_env" json:"password_env" about:"variable of the environment that holds the password of user"`
}

// Feeds are what of this machine feeds may reach: whoever may add a feed could
// read its files otherwise.
type Feeds struct {
	Folders []string `yaml:"folders" json:"folders" about:"folders that feeds may look into, with what is below"`
	Secrets string   `yaml:"secrets" json:"secrets" about:"folder of the files that headers of feeds refer to"`
}

// Survey is how constituents are looked at.
type Survey struct {
	Contact        string   `yaml:"contact" json:"contact" about:"mail address or URL in the User-Agent of surveys and feeds, for whoever asks who we are; no survey outside of a lab without it"`
	Addresses      []string `yaml:"addresses" json:"addresses" about:"addresses and networks that surveys come from, as the page for whoever is looked at says them"`
	Resolvers      []string `yaml:"resolvers" json:"resolvers" about:"recursive resolvers as address:port; those of /etc/resolv.conf when empty"`
	Ports          string   `yaml:"ports" json:"ports" about:"what is scanned, as tcp:22,80,8000-8100 udp:53; a list of usual ports when empty"`
	Connects       float64  `yaml:"connects" json:"connects" about:"connects a second to one address: 5, or fewer"`
	Requests       float64  `yaml:"requests" json:"requests" about:"HTTP requests a second to one address: 1, or fewer"`
	PerNetwork     float64  `yaml:"per_network" json:"per_network" about:"connects a second to one /24 or /48: 100, or fewer"`
	PerConstituent float64  `yaml:"per_constituent" json:"per_constituent" about:"connects a second to all of one constituent: 200, or fewer"`
	Timeout        Duration `yaml:"timeout" json:"timeout" about:"of one step of a protocol, as 5s; 5s when empty"`
	Parts          int      `yaml:"parts" json:"parts" about:"parts of surveys worked side by side in one process; 8 when 0"`
	Content        string   `yaml:"content" json:"content" about:"folder of Recog XML fingerprints beside our own rules"`
	Inside         bool     `yaml:"inside" json:"inside" about:"the probes stand inside the networks they look at: what they reach is not called public"`
	Roots          string   `yaml:"roots" json:"roots" about:"PEM file of authorities to trust beside the system's, such as a constituent's own"`
	Nmap           string   `yaml:"nmap" json:"nmap" about:"path of an nmap that a survey may run beside its own checks"`
}

// Duration is a time.Duration that reads "5s".
type Duration time.Duration

// UnmarshalText reads "5s".
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err == nil && v < 0 {
		err = errors.New("negative")
	}
	*d = Duration(v)
	return err
}

// MarshalText is the reverse.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// maxFile bounds the file, in bytes.
const maxFile = 1 << 20

// Load reads a file. A file that is not there is an error unless optional.
func Load(path string, optional bool) (Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && optional {
		return Config{}, nil
	}
	if err != nil {
		return Config{}, vedette.Invalid("configuration: %w", err)
	}
	defer f.Close()
	c, err := Read(f)
	if err != nil {
		return c, vedette.Invalid("%s: %w", path, err)
	}
	return c, nil
}

// Read decodes and checks a configuration. An unknown key is an error with its line.
func Read(r io.Reader) (c Config, err error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return c, err
	}
	if len(text) > maxFile {
		return c, vedette.Invalid("larger than %d bytes", maxFile)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return c, nil
	}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict(), yaml.DisallowUnknownField()).Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, vedette.Invalid("%s", strings.TrimSpace(yaml.FormatError(err, false, false)))
	}
	return c, c.check()
}

func (c Config) check() error {
	s := c.Survey
	if s.Contact != "" {
		_, mailErr := mail.ParseAddress(s.Contact)
		u, urlErr := url.Parse(s.Contact)
		if mailErr != nil && (urlErr != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
			return vedette.Invalid("survey.contact: %q is neither a mail address nor a URL", s.Contact)
		}
		if strings.ContainsAny(s.Contact, "\r\n()") {
			return vedette.Invalid("survey.contact: %q does not fit into a header", s.Contact)
		}
	}
	for i, a := range s.Addresses {
		if _, ok := (vedette.ScopeEntry{CIDR: a}).Prefix(); !ok {
			return vedette.Invalid("survey.addresses[%d]: %q is no address or network", i, a)
		}
	}
	for i, r := range s.Resolvers {
		if _, err := netip.ParseAddrPort(r); err != nil {
			return vedette.Invalid("survey.resolvers[%d]: %q is not address:port", i, r)
		}
	}
	if err := CheckPorts(s.Ports); err != nil {
		return vedette.Invalid("survey.ports: %w", err)
	}
	for name, v := range map[string]float64{"connects": s.Connects, "requests": s.Requests, "per_network": s.PerNetwork, "per_constituent": s.PerConstituent, "parts": float64(s.Parts)} {
		if v < 0 {
			return vedette.Invalid("survey.%s: %v is negative", name, v)
		}
	}
	if err := checkOIDC(c.OIDC); err != nil {
		return err
	}
	if err := c.Mail.check(); err != nil {
		return err
	}
	return c.checkWebhooks()
}

var webhookName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

func (c Config) checkWebhooks() error {
	names := map[string]bool{}
	for i, h := range c.Webhooks {
		at := fmt.Sprintf("webhooks[%d]", i)
		if !webhookName.MatchString(h.Name) || names[h.Name] {
			return vedette.Invalid("%s.name: %q is not lower-case letters, digits and -, or stands twice", at, h.Name)
		}
		names[h.Name] = true
		if h.Constituent == "" {
			return vedette.Invalid("%s.constituent: whose is it?", at)
		}
		if u, err := url.Parse(h.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "" {
			return vedette.Invalid("%s.url: %q is no address of a web server, without user and fragment", at, h.URL)
		}
		if err := errors.Join(oneOf(at+".secret", h.SecretFile, h.SecretEnv, true), oneOf(at+".old_secret", h.OldSecretFile, h.OldSecretEnv, false)); err != nil {
			return err
		}
	}
	if len(names) > 0 && c.Mail.Base == "" {
		return vedette.Invalid("mail.base: webhooks carry links to the pages")
	}
	return nil
}

func (m Mail) check() error {
	if u, err := url.Parse(m.Base); m.Base != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "") {
		return vedette.Invalid("mail.base: %q is not the address of the pages", m.Base)
	}
	if m.Relay == "" {
		return nil
	}
	if _, port, err := net.SplitHostPort(m.Relay); err != nil || port == "" {
		return vedette.Invalid("mail.relay: %q is not host:port", m.Relay)
	}
	if a, err := mail.ParseAddress(m.From); err != nil || a.Address != m.From {
		return vedette.Invalid("mail.from: %q is not a mail address", m.From)
	}
	if time.Duration(m.Timeout) > 2*time.Minute {
		return vedette.Invalid("mail.timeout: %s is longer than 2m", time.Duration(m.Timeout))
	}
	if m.Base == "" {
		return vedette.Invalid("mail.base: mails carry links to the pages")
	}
	if err := oneOf("mail.password", m.PasswordFile, m.PasswordEnv, m.User != ""); err != nil {
		return err
	}
	switch m.TLS {
	case "none":
		if m.User != "" {
			return vedette.Invalid("mail.user: no password goes out without TLS")
		}
		return nil
	case "", "starttls", "tls":
		return nil
	}
	return vedette.Invalid("mail.tls: %q is not starttls, tls or none", m.TLS)
}

// CheckPorts checks a list of ports, "tcp:22,8000-8100 udp:53".
func CheckPorts(text string) error {
	for _, part := range strings.Fields(text) {
		proto, list, ok := strings.Cut(part, ":")
		if !ok || proto != "tcp" && proto != "udp" {
			return fmt.Errorf("%q does not begin with tcp: or udp:", part)
		}
		for _, r := range strings.Split(list, ",") {
			lo, hi, ranged := strings.Cut(r, "-")
			if !ranged {
				hi = lo
			}
			l, err1 := strconv.ParseUint(lo, 10, 16)
			h, err2 := strconv.ParseUint(hi, 10, 16)
			if err1 != nil || err2 != nil || l == 0 || h < l {
				return fmt.Errorf("%q is no port and no range of ports", r)
			}
		}
	}
	return nil
}

// SystemResolvers are those of resolv.conf(5).
func SystemResolvers(resolvConf io.Reader) []string {
	text, _ := io.ReadAll(io.LimitReader(resolvConf, 64<<10)) // what cannot be read names no resolver
	var out []string
	for _, line := range strings.Split(string(text), "\n") {
		f := strings.Fields(line)
		if len(f) >= 2 && f[0] == "nameserver" {
			if a, err := netip.ParseAddr(f[1]); err == nil {
				out = append(out, net.JoinHostPort(a.String(), "53"))
			}
		}
	}
	return out
}

// Key is one key of the file.
type Key struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	About string `json:"about"`
	Value string `json:"value"`
}

// Keys are all keys with their meaning and their value in c.
func (c Config) Keys() []Key { return keys("", reflect.ValueOf(c)) }

func keys(prefix string, v reflect.Value) []Key {
	var out []Key
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := prefix + f.Tag.Get("yaml")
		if f.Type.Kind() == reflect.Struct {
			out = append(out, keys(name+".", v.Field(i))...)
			continue
		}
		if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct {
			out = append(out, Key{name, "list", f.Tag.Get("about"), strconv.Itoa(v.Field(i).Len())})
			for j := range v.Field(i).Len() {
				out = append(out, keys(fmt.Sprintf("%s[%d].", name, j), v.Field(i).Index(j))...)
			}
			if v.Field(i).Len() == 0 {
				out = append(out, keys(name+"[].", reflect.Zero(f.Type.Elem()))...)
			}
			continue
		}
		typ := map[reflect.Kind]string{reflect.String: "text", reflect.Slice: "list", reflect.Float64: "number", reflect.Int: "number", reflect.Int64: "duration", reflect.Bool: "yes or no"}[f.Type.Kind()]
		value := fmt.Sprint(v.Field(i).Interface())
		if d, ok := v.Field(i).Interface().(Duration); ok {
			value = time.Duration(d).String()
		}
		out = append(out, Key{name, typ, f.Tag.Get("about"), value})
	}
	return out
}
