package app

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/credential"
	"github.com/vedette-hub/vedette/store"
)

type userPassword struct {
	Name string `arg:"" help:"User name."`
}

// Help is shown by --help.
func (userPassword) Help() string {
	return "Examples:\n  vedette user password ana\n  pass show hub/ana | vedette user password ana\n\nThe password comes from the terminal, without an echo, or is the first line of stdin; never an argument, which others on the machine can read. It has 12 characters or more and does not contain the name. All sessions of the user end."
}

// Run sets the password.
func (c *userPassword) Run(r *run) error {
	password, err := r.secret("New password for "+c.Name+": ", true)
	if err != nil {
		return err
	}
	if err := r.sc.SetPassword(r.ctx, c.Name, password); err != nil {
		return err
	}
	return r.drain()
}

// secret reads one line that nobody should see: from a terminal without an
// echo, twice when it is to be kept, or from what stands in for one.
func (r *run) secret(prompt string, twice bool) (string, error) {
	f, ok := r.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(r.in, credential.MaxPassword+3)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(r.errs, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(r.errs)
		return string(b), err
	}
	first, err := ask(prompt)
	if err != nil || !twice {
		return first, err
	}
	second, err := ask("The same again: ")
	if err == nil && first != second {
		err = vedette.Invalid("the two differ")
	}
	return first, err
}

type userTOTP struct {
	Name    string `arg:"" help:"User name."`
	Confirm bool   `help:"Only take the first code of a generator that was begun before." xor:"what"`
	Remove  bool   `help:"Take the code generator and the recovery codes away." xor:"what"`
}

// Help is shown by --help.
func (userTOTP) Help() string {
	return "Examples:\n  vedette user totp ana\n  echo 123456 | vedette user totp ana --confirm\n  vedette user totp ana --remove\n\nPrints the otpauth:// URI that an authenticator takes in, once, and asks for its first code; then the recovery codes, once. Without a first code nothing is asked for at sign-in yet: --confirm goes on later. The secret is sealed with a key outside of the database: secret.key in the data folder, or the file of VEDETTE_SECRET_FILE. A backup does not hold that key."
}

// Run begins, confirms or removes.
func (c *userTOTP) Run(r *run) error {
	if c.Remove {
		if err := r.sc.RemoveCodes(r.ctx, c.Name); err != nil {
			return err
		}
		return r.drain()
	}
	if !c.Confirm {
		uri, err := r.sc.BeginCodes(r.ctx, c.Name)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(r.out, uri); err != nil {
			return err
		}
	}
	code, err := r.secret("First code: ", false)
	if err != nil {
		return err
	}
	if code == "" && !c.Confirm {
		r.note("not confirmed yet: vedette user totp %s --confirm", c.Name)
		return r.drain()
	}
	recovery, err := r.sc.ConfirmCodes(r.ctx, c.Name, code)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(r.out, strings.Join(recovery, "\n")); err != nil {
		return err
	}
	r.note("%d recovery codes, each good once in place of a code: keep them apart from the authenticator", len(recovery))
	return r.drain()
}

type userLink struct {
	Name  string `arg:"" help:"User name."`
	Reset bool   `help:"The link takes the password away that the user has, so that he sets another."`
}

// Help is shown by --help.
func (userLink) Help() string {
	return "Examples:\n  vedette user link ana\n  vedette user link ana --reset\n\nPrints the path of a link that signs the user in once, within 15 minutes: whoever has it is the user. With mail.base in the configuration it is the whole address. A user with a code generator shows a code yet."
}

// Run prints the link, once.
func (c *userLink) Run(r *run) error {
	conf, err := r.config()
	if err != nil {
		return err
	}
	token, err := r.sc.AddLink(r.ctx, c.Name, c.Reset)
	if err != nil {
		return err
	}
	link := strings.TrimSuffix(conf.Mail.Base, "/") + vedette.LinkPath + token
	if r.Output == "json" || r.Output == "jsonl" {
		err = r.json(map[string]any{"user": c.Name, "link": link, "token": token, "expires": r.store.Now().Add(store.LinkTime).Format(time.RFC3339)})
	} else {
		_, err = fmt.Fprintln(r.out, link)
	}
	if err != nil {
		return err
	}
	return r.drain()
}

type userSessions struct {
	Name string `arg:"" help:"User name."`
	End  bool   `help:"End them all, at their next call."`
}

// Run lists or ends sessions.
func (c *userSessions) Run(r *run) error {
	if c.End {
		if err := r.sc.EndSessions(r.ctx, c.Name); err != nil {
			return err
		}
		return r.drain()
	}
	ss, err := r.sc.SessionsOf(r.ctx, c.Name)
	if err != nil {
		return err
	}
	t := &table{columns: []string{"user", "from", "since", "until"}}
	for _, s := range ss {
		t.add(s, s.User, s.Address, stamp(s.Created), stamp(s.Expires))
	}
	return r.print(t)
}

type userPasskeys struct {
	Name   string `arg:"" help:"User name."`
	Remove string `help:"Take those of this name away." placeholder:"PASSKEY" xor:"what"`
	All    bool   `help:"Take all of them away." xor:"what"`
}

// Help is shown by --help.
func (userPasskeys) Help() string {
	return "A person adds passkeys by the page. Taking one away ends his sessions."
}

// Run lists or removes passkeys.
func (c *userPasskeys) Run(r *run) error {
	if c.Remove != "" || c.All {
		if err := r.sc.RemovePasskeys(r.ctx, c.Name, c.Remove); err != nil {
			return err
		}
		return r.drain()
	}
	ks, err := r.sc.Passkeys(r.ctx, c.Name)
	if err != nil {
		return err
	}
	t := &table{columns: []string{"passkey", "user", "created", "used"}}
	for _, k := range ks {
		t.add(k, k.Name, k.User, stamp(k.Created), stamp(k.Used))
	}
	return r.print(t)
}

type userSubject struct {
	Name    string `arg:"" help:"User name."`
	Issuer  string `arg:"" optional:"" help:"URL of the provider, as its tokens state it."`
	Subject string `arg:"" optional:"" help:"Who he is there: the claim sub of his tokens."`
	Remove  bool   `help:"Forget who he is elsewhere."`
}

// Help is shown by --help.
func (userSubject) Help() string {
	return "Examples:\n  vedette user subject ana\n  vedette user subject ana https://id.example 248289761001\n  vedette user subject ana --remove\n\nThe providers are in the configuration, under oidc. One that gives rights by groups adds users itself; a user who was here before has to be mapped."
}

// Run lists, maps or forgets.
func (c *userSubject) Run(r *run) error {
	switch {
	case c.Remove && c.Issuer != "" || c.Issuer != "" && c.Subject == "":
		return fmt.Errorf("%w: an issuer and a subject, --remove, or neither", errUsage)
	case c.Remove:
		if err := r.sc.UnmapSubjects(r.ctx, c.Name); err != nil {
			return err
		}
		return r.drain()
	case c.Issuer != "":
		if err := r.sc.MapSubject(r.ctx, vedette.Subject{Issuer: c.Issuer, Subject: c.Subject, User: c.Name}); err != nil {
			return err
		}
		return r.drain()
	}
	ss, err := r.sc.Subjects(r.ctx, c.Name)
	if err != nil {
		return err
	}
	t := &table{columns: []string{"user", "issuer", "subject"}}
	for _, s := range ss {
		t.add(s, s.User, s.Issuer, s.Subject)
	}
	return r.print(t)
}

type userUnlock struct {
	Name    string `arg:"" help:"User name."`
	Address string `help:"Let this address try again too." placeholder:"IP"`
}

// Help is shown by --help.
func (userUnlock) Help() string {
	return "After 5 failed tries in a row nobody is let in under a name for 1 minute, after each further one for 2, 4 and so on to 60; after 20 from one address (or /64), nobody from there. It passes by itself; this forgets it at once."
}

// Run forgets the failures.
func (c *userUnlock) Run(r *run) error {
	if err := r.sc.Unlock(r.ctx, c.Name, c.Address); err != nil {
		return err
	}
	return r.drain()
}
