package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// session begins one as the pages do, and returns its token.
func (d *door) session(token string, in vedette.SignedIn) string {
	d.t.Helper()
	x := d.s.Sessions()
	b, err := x.Encode(d.now().Add(time.Hour), map[string]any{vedette.SessionUser: in.Session, vedette.SessionAddress: "192.0.2.7", "remember": true})
	d.ok(err)
	d.ok(x.CommitCtx(context.Background(), token, b, d.now().Add(time.Hour)))
	return token
}

// whose is the user of a session, "" when it is over.
func (d *door) whose(token string) string {
	d.t.Helper()
	b, found, err := d.s.Sessions().FindCtx(context.Background(), token)
	d.ok(err)
	if !found {
		return ""
	}
	_, values, err := d.s.Sessions().Decode(b)
	d.ok(err)
	session, _ := values[vedette.SessionUser].(string)
	p, err := d.s.PrincipalOf(context.Background(), session)
	if err != nil {
		d.is(err, vedette.ErrAuth)
		return ""
	}
	return p.Name
}

func (d *door) signedIn() vedette.SignedIn {
	d.t.Helper()
	in, err := d.in("analyst", good, "")
	d.ok(err)
	return in
}

func TestSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		d := newDoor(t, place)
		ctx, x := context.Background(), d.s.Sessions()
		in := d.signedIn()
		d.session("one", in)
		d.session("two", in)
		if d.whose("one") != "analyst" || d.whose("two") != "analyst" || d.whose("three") != "" || d.whose("") != "" {
			t.Error("the sessions are not whose they are")
		}
		b, found, err := x.Find("one")
		if deadline, values, err2 := x.Decode(b); err != nil || err2 != nil || !found || !deadline.Equal(d.now().Add(time.Hour)) || values["remember"] != true {
			t.Errorf("%v, %v, %v, %v", deadline, values, err, err2)
		}
		ss, err := d.sc.SessionsOf(ctx, "analyst")
		if err != nil || len(ss) != 2 || ss[0].Address != "192.0.2.7" || ss[0].Created.IsZero() || !ss[0].Expires.Equal(d.now().Add(time.Hour)) {
			t.Errorf("%+v, %v", ss, err)
		}
		d.ok(x.Delete("one"))
		d.ok(x.Delete("nosuch"))
		d.session("one", in) // a request that was under way when he signed out
		if d.whose("one") != "" || d.whose("two") != "analyst" {
			t.Error("signing out ends one session, for good")
		}
		d.pass(time.Hour)
		if d.whose("two") != "" {
			t.Error("an expired session goes on")
		}
		d.signedIn() // sweeps out
		if ss, err := d.sc.SessionsOf(ctx, "analyst"); err != nil || len(ss) != 0 {
			t.Errorf("%+v, %v", ss, err)
		}
		if _, err := x.Encode(d.now(), map[string]any{"n": 1}); !errors.Is(err, vedette.ErrInvalid) {
			t.Errorf("a number: %v", err)
		}
		d.is(x.Commit("t", []byte("gob"), d.now()), vedette.ErrInvalid)
	})
}

// TestWhatEndsSessions: at their next call, those whose request is under way too.
func TestWhatEndsSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		d := newDoor(t, place)
		ctx := context.Background()
		set := func(roles ...vedette.Role) error {
			return d.sc.AddUser(ctx, vedette.Principal{Name: "analyst", Roles: roles})
		}
		for _, c := range []struct {
			name string
			do   func() error
			ends bool
		}{
			{"the same rights again", func() error { return set(vedette.Analyst) }, false},
			{"other rights", func() error { return set(vedette.Analyst, vedette.Lead) }, true},
			{"another password", func() error { return d.sc.SetPassword(ctx, "analyst", good) }, true},
			{"ended by hand", func() error { return d.sc.EndSessions(ctx, "analyst") }, true},
			{"ended by himself", func() error {
				return d.as(vedette.Principal{Name: "analyst", Roles: []vedette.Role{vedette.Analyst}}).EndSessions(ctx, "analyst")
			}, true},
			{"rights of another", func() error { return d.sc.EndSessions(ctx, "lead") }, false},
			{"disabled", func() error { return d.sc.DisableUser(ctx, "analyst") }, true},
		} {
			in := d.signedIn()
			d.session("token "+c.name, in)
			link, err := d.sc.AddLink(ctx, "analyst", false)
			d.ok(err)
			d.ok(c.do())
			d.session("late "+c.name, in) // of a request under way
			want := "analyst"
			if c.ends {
				want = ""
			}
			if got := d.whose("token " + c.name); got != want {
				t.Errorf("%s: the session is of %q", c.name, got)
			}
			if got := d.whose("late " + c.name); got != want {
				t.Errorf("%s: the session kept late is of %q", c.name, got)
			}
			if _, err := d.s.Redeem(ctx, link, address); (err != nil) != c.ends {
				t.Errorf("%s: the link made before: %v", c.name, err)
			}
		}
		// back again, he has the rights of now and none of the old sessions
		d.ok(set(vedette.Lead))
		if p, err := d.s.PrincipalOf(ctx, d.signedIn().Session); err != nil || !slices.Equal(p.Roles, []vedette.Role{vedette.Lead}) {
			t.Errorf("%+v, %v", p, err)
		}
		for _, session := range []string{"", "analyst", "analyst/", "analyst/x", "analyst/0", "local/0", "nobody/0", "analyst/-1", " analyst/0"} {
			_, err := d.s.PrincipalOf(ctx, session)
			d.is(err, vedette.ErrAuth)
		}
	})
}

// TestOneselfOnly: a person does to his own sign-in what he may, to that of
// others nothing; a token of his does nothing at all.
func TestOneselfOnly(t *testing.T) {
	d := newDoor(t, t.TempDir())
	ctx := context.Background()
	me := vedette.Principal{Name: "analyst", Roles: []vedette.Role{vedette.Analyst}}
	token := me
	token.Token = "siem"
	for _, p := range []vedette.Principal{token, {Name: "lead", Roles: []vedette.Role{vedette.Lead}}, {}} {
		sc := d.as(p)
		_, err1 := sc.BeginCodes(ctx, "analyst")
		_, err2 := sc.ConfirmCodes(ctx, "analyst", "1")
		_, err3 := sc.SessionsOf(ctx, "analyst")
		_, err4 := sc.Passkeys(ctx, "analyst")
		_, err5 := sc.Subjects(ctx, "analyst")
		for _, err := range []error{err1, err2, err3, err4, err5, sc.EndSessions(ctx, "analyst"), sc.RemovePasskeys(ctx, "analyst", "")} {
			d.is(err, vedette.ErrRefused)
		}
	}
	if _, err := d.as(token).ChangePassword(ctx, good, "another four words", address); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("a token changes the password: %v", err)
	}
	sc := d.as(me)
	for _, err := range []error{sc.SetPassword(ctx, "analyst", "another four words"), sc.RemoveCodes(ctx, "analyst"), sc.Unlock(ctx, "analyst", ""), sc.MapSubject(ctx, vedette.Subject{User: "analyst"})} {
		d.is(err, vedette.ErrRefused)
	}
	old := d.signedIn()
	_, err := sc.ChangePassword(ctx, wrong, "another four words", address)
	d.is(err, vedette.ErrAuth)
	_, err = sc.ChangePassword(ctx, good, "short", address)
	d.is(err, vedette.ErrInvalid)
	_, err = sc.ChangePassword(ctx, good, "the analyst himself", address)
	d.is(err, vedette.ErrInvalid)
	in, err := sc.ChangePassword(ctx, good, "another four words", address)
	d.ok(err)
	_, err = d.s.PrincipalOf(ctx, in.Session)
	d.ok(err)
	_, err = d.s.PrincipalOf(ctx, old.Session)
	d.is(err, vedette.ErrAuth)
	_, err = d.in("analyst", good, "")
	d.is(err, vedette.ErrAuth)
	_, err = d.in("analyst", "another four words", "")
	d.ok(err)
	for range 5 { // guesses at the old password count
		_, err = sc.ChangePassword(ctx, wrong, good, address)
		d.is(err, vedette.ErrAuth)
	}
	_, err = sc.ChangePassword(ctx, "another four words", good, address)
	d.tooMany(err)
	if rec := d.record(); strings.Contains(rec, "four words") {
		t.Errorf("the record has a password:\n%s", rec)
	}
}

func TestLinks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		d := newDoor(t, place)
		ctx := context.Background()
		link := func(reset bool) string {
			d.t.Helper()
			token, err := d.sc.AddLink(ctx, "analyst", reset)
			d.ok(err)
			return token
		}
		token := link(false)
		in, err := d.s.Redeem(ctx, token, address)
		d.ok(err)
		if in.Second || in.Principal.Name != "analyst" {
			t.Fatalf("%+v", in)
		}
		_, err = d.s.PrincipalOf(ctx, in.Session)
		d.ok(err)
		late := link(false)
		d.pass(15 * time.Minute)
		for _, bad := range []string{token, late, "", "nosuch", strings.ToUpper(token)} {
			_, err = d.s.Redeem(ctx, bad, address)
			d.is(err, vedette.ErrAuth)
		}
		// it opens what too many tries have locked
		for range 5 {
			_, err = d.in("analyst", wrong, "")
			d.is(err, vedette.ErrAuth)
		}
		_, err = d.s.Redeem(ctx, link(false), address)
		d.ok(err)
		d.signedIn()
		// with reset the password goes, and he sets another without it
		in, err = d.s.Redeem(ctx, link(true), address)
		d.ok(err)
		_, err = d.in("analyst", good, "")
		d.is(err, vedette.ErrAuth)
		p, err := d.s.PrincipalOf(ctx, in.Session)
		d.ok(err)
		_, err = d.as(p).ChangePassword(ctx, "", "another four words", address)
		d.ok(err)
		_, err = d.in("analyst", "another four words", "")
		d.ok(err)
		// it stands for the password only
		secret, _ := d.enrol()
		d.pass(time.Minute)
		in, err = d.s.Redeem(ctx, link(false), address)
		d.ok(err)
		if !in.Second {
			t.Errorf("no code is asked for: %+v", in)
		}
		_, err = d.s.Second(ctx, in.Session, d.code(secret), address)
		d.ok(err)
		if _, err := d.sc.AddLink(ctx, "nobody", false); !errors.Is(err, vedette.ErrNotFound) {
			t.Errorf("a link of nobody: %v", err)
		}
		token, err = d.s.System().AddLink(ctx, "lead")
		d.ok(err)
		if in, err := d.s.Redeem(ctx, token, address); err != nil || in.Principal.Name != "lead" {
			t.Errorf("%+v, %v", in, err)
		}
		if rec := d.record(); strings.Contains(rec, token) || !strings.Contains(rec, "by=link and code") {
			t.Errorf("the record:\n%s", rec)
		}
	})
}

func TestPasskeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		d := newDoor(t, place)
		ctx := context.Background()
		sc := d.as(vedette.Principal{Name: "analyst", Roles: []vedette.Role{vedette.Analyst}})
		handle, err := sc.PasskeyHandle(ctx)
		d.ok(err)
		again, err := sc.PasskeyHandle(ctx)
		if err != nil || len(handle) != 64 || !bytes.Equal(handle, again) {
			t.Fatal("the handle changes", err)
		}
		k := vedette.Passkey{ID: []byte{1, 2, 3}, Name: "blue key", SignCount: 4, Body: []byte(`{"publicKey":"AA=="}`)}
		d.ok(sc.AddPasskey(ctx, k))
		d.is(sc.AddPasskey(ctx, k), vedette.ErrConflict)
		d.ok(sc.AddPasskey(ctx, vedette.Passkey{ID: []byte{9}, Name: "phone", Body: []byte(`{}`)}))
		d.is(sc.AddPasskey(ctx, vedette.Passkey{ID: []byte{8}, Name: "broken", Body: []byte(`{`)}), vedette.ErrInvalid)
		ks, err := d.s.PasskeysOf(ctx, handle)
		if err != nil || len(ks) != 2 || ks[0].User != "analyst" || !bytes.Equal(ks[0].ID, k.ID) || ks[0].SignCount != 4 || string(ks[0].Body) != string(k.Body) {
			t.Fatalf("%+v, %v", ks, err)
		}
		k.SignCount, k.Body = 5, []byte(`{"publicKey":"AA==","signCount":5}`)
		in, err := d.s.SignInPasskey(ctx, k, address)
		d.ok(err)
		_, err = d.s.PrincipalOf(ctx, in.Session)
		d.ok(err)
		_, err = d.s.SignInPasskey(ctx, k, address) // a copy of it counts from where it was made
		d.is(err, vedette.ErrAuth)
		for range 2 { // one that does not count
			_, err = d.s.SignInPasskey(ctx, vedette.Passkey{ID: []byte{9}, Body: []byte(`{}`)}, address)
			d.ok(err)
		}
		_, err = d.s.SignInPasskey(ctx, vedette.Passkey{ID: []byte{7}, SignCount: 1, Body: []byte(`{}`)}, address)
		d.is(err, vedette.ErrAuth)
		if rec := d.record(); !strings.Contains(rec, "sign in failed,analyst,,address=192.0.2.7,passkey=blue key,why=passkey copied") || !strings.Contains(rec, "by=passkey phone") {
			t.Errorf("the record:\n%s", rec)
		}
		d.ok(sc.RemovePasskeys(ctx, "analyst", "phone"))
		_, err = d.s.PrincipalOf(ctx, in.Session)
		d.is(err, vedette.ErrAuth)
		d.ok(d.sc.DisableUser(ctx, "analyst"))
		k.SignCount = 6
		_, err = d.s.SignInPasskey(ctx, k, address)
		d.is(err, vedette.ErrAuth)
		if ks, err := d.s.PasskeysOf(ctx, handle); err != nil || len(ks) != 0 {
			t.Errorf("a disabled user has %d passkeys, %v", len(ks), err)
		}
		if ks, err := d.s.PasskeysOf(ctx, nil); err != nil || len(ks) != 0 {
			t.Errorf("nobody has %d passkeys, %v", len(ks), err)
		}
		if ks, err := d.sc.Passkeys(ctx, "analyst"); err != nil || len(ks) != 1 || ks[0].Used.IsZero() {
			t.Errorf("%+v, %v", ks, err)
		}
	})
}

func TestSubjects(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		d := newDoor(t, place)
		ctx := context.Background()
		const issuer = "https://id.example"
		who := vedette.Subject{Issuer: issuer, Subject: "248289761001", User: "Analyst@hub.example"}
		rights := func(roles ...vedette.Role) *vedette.Principal { return &vedette.Principal{Roles: roles} }
		try := func(who vedette.Subject, rights *vedette.Principal) (vedette.SignedIn, error) {
			return d.s.SignInSubject(ctx, who, rights, address)
		}
		_, err := try(who, nil) // nobody said who he is
		d.is(err, vedette.ErrAuth)
		_, err = try(who, rights(vedette.Lead)) // nobody takes the name of another
		d.is(err, vedette.ErrAuth)
		d.ok(d.sc.MapSubject(ctx, vedette.Subject{Issuer: issuer, Subject: who.Subject, User: "analyst"}))
		d.ok(d.sc.MapSubject(ctx, vedette.Subject{Issuer: issuer, Subject: who.Subject, User: "analyst"}))
		d.is(d.sc.MapSubject(ctx, vedette.Subject{Issuer: issuer, Subject: who.Subject, User: "lead"}), vedette.ErrConflict)
		in, err := try(who, nil)
		if err != nil || in.Principal.Name != "analyst" || !in.Principal.Has(vedette.Analyst) {
			t.Fatalf("%+v, %v", in, err)
		}
		_, err = try(vedette.Subject{Issuer: "https://other.example", Subject: who.Subject}, nil)
		d.is(err, vedette.ErrAuth)
		// the groups of now give the rights of now
		in2, err := try(who, rights(vedette.Responder))
		if err != nil || !slices.Equal(in2.Principal.Roles, []vedette.Role{vedette.Responder}) {
			t.Fatalf("%+v, %v", in2, err)
		}
		_, err = d.s.PrincipalOf(ctx, in.Session)
		d.is(err, vedette.ErrAuth)
		_, err = try(who, rights())
		d.is(err, vedette.ErrAuth)
		// one who is new here
		in, err = try(vedette.Subject{Issuer: issuer, Subject: "2", User: "newcomer@hub.example"}, rights(vedette.Analyst))
		if err != nil || in.Principal.Name != "newcomer" {
			t.Fatalf("%+v, %v", in, err)
		}
		for i, odd := range []string{"", "local", "sign-in", "Jörg Müller", "-x", "../../etc"} {
			in, err = try(vedette.Subject{Issuer: issuer, Subject: "odd" + string(rune('0'+i)), User: odd}, rights(vedette.Analyst))
			if err != nil || !strings.HasPrefix(in.Principal.Name, "user-") {
				t.Errorf("%q: %+v, %v", odd, in, err)
			}
		}
		_, err = try(vedette.Subject{Issuer: issuer, Subject: "3", User: "third"}, &vedette.Principal{Roles: []vedette.Role{vedette.Viewer}, Constituents: []string{"nosuch"}})
		if err == nil {
			t.Error("a group binds to a constituent that is not there")
		}
		d.ok(d.sc.DisableUser(ctx, "newcomer"))
		_, err = try(vedette.Subject{Issuer: issuer, Subject: "2", User: "newcomer"}, rights(vedette.Lead)) // groups enable nobody
		d.is(err, vedette.ErrAuth)
		_, err = try(vedette.Subject{Issuer: issuer, Subject: "4", User: "newcomer"}, rights(vedette.Lead))
		d.is(err, vedette.ErrAuth)
		for _, bad := range []vedette.Subject{{}, {Issuer: issuer}, {Issuer: "id.example", Subject: "1"}, {Issuer: issuer, Subject: strings.Repeat("x", 256)}} {
			_, err = try(bad, nil)
			d.is(err, vedette.ErrInvalid)
		}
		ss, err := d.sc.Subjects(ctx, "analyst")
		if err != nil || len(ss) != 1 || ss[0].Subject != who.Subject {
			t.Errorf("%+v, %v", ss, err)
		}
		d.ok(d.sc.UnmapSubjects(ctx, "analyst"))
		_, err = try(who, nil)
		d.is(err, vedette.ErrAuth)
	})
}

// TestNothingAtRest: neither the database nor a backup holds what lets somebody
// in, nor the key; what proves a person comes along to the other store.
func TestNothingAtRest(t *testing.T) {
	place := t.TempDir()
	d := newDoor(t, place)
	ctx := context.Background()
	secret, recovery := d.enrol()
	link, err := d.sc.AddLink(ctx, "analyst", false)
	d.ok(err)
	d.pass(30 * time.Second)
	in, err := d.in("analyst", good, d.code(secret))
	d.ok(err)
	d.session("a token of a session", in)
	d.ok(d.s.Close())
	db, err := sql.Open("sqlite", "file:"+filepath.Join(place, store.File))
	d.ok(err)
	defer db.Close()
	var all strings.Builder
	for _, table := range []string{"users", "passwords", "totps", "recoveries", "links", "sessions", "tries", "events", "meta"} {
		rows, err := db.Query("select * from " + table)
		d.ok(err)
		cols, err := rows.Columns()
		d.ok(err)
		cells, into := make([][]byte, len(cols)), make([]any, len(cols))
		for i := range cells {
			into[i] = &cells[i]
		}
		for rows.Next() {
			d.ok(rows.Scan(into...))
			all.Write(bytes.Join(cells, []byte{'\n'}))
		}
		d.ok(rows.Close())
	}
	for _, s := range append(recovery, good, string(secret), link, "a token of a session") {
		if strings.Contains(all.String(), s) {
			t.Errorf("the database holds %q", s)
		}
	}
}

// TestSignInComesAlong: a restored store knows who people are, on the other
// engine too, and nobody is still signed in.
func TestSignInComesAlong(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		d := newDoor(t, t.TempDir())
		ctx := context.Background()
		secret, recovery := d.enrol()
		d.ok(d.sc.MapSubject(ctx, vedette.Subject{Issuer: "https://id.example", Subject: "1", User: "lead"}))
		in, err := d.in("analyst", good, recovery[0])
		d.ok(err)
		d.session("token", in)
		before, err := d.sc.Verify(ctx)
		d.ok(err)
		var file bytes.Buffer
		_, err = d.sc.Backup(ctx, &file)
		d.ok(err)
		other := &door{t: t, clock: d.now().Add(time.Minute)}
		other.s = storetest.Open(t, place, store.Options{Now: other.now, Secret: filepath.Join(t.TempDir(), "key")})
		other.sc = other.as(vedette.Local())
		_, err = other.sc.Restore(ctx, bytes.NewReader(file.Bytes()))
		d.ok(err)
		after, err := other.sc.Verify(ctx)
		if err != nil || !slices.Equal(before, after) {
			t.Errorf("%v\n%v\n%v", err, before, after)
		}
		if other.whose("token") != "" {
			t.Error("a session came along")
		}
		half, err := other.in("analyst", good, "")
		if err != nil || !half.Second {
			t.Fatalf("%+v, %v", half, err)
		}
		_, err = other.s.Second(ctx, half.Session, other.code(secret), address) // the key did not come along
		other.is(err, vedette.ErrUnavailable)
		_, err = other.s.Second(ctx, half.Session, recovery[0], address)
		other.is(err, vedette.ErrAuth)
		_, err = other.s.Second(ctx, half.Session, recovery[1], address)
		other.ok(err)
	})
}
