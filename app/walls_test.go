package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/policy"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// reading calls one method with plausible and hostile arguments and returns
// everything it answers.
type reading func(ctx context.Context, sc *store.Scoped, x targets) []any

// methods is every exported method of store.Scoped: a new one has to be here.
// nil are those that write or concern the whole store; refused tests them.
var methods = map[string]reading{
	"Principal": nil,
	"Now":       nil,
	"CaseCounts": each(func(ctx context.Context, sc *store.Scoped, id string) []any {
		return append(all(sc.CaseCounts(ctx, store.CaseFilter{Constituent: id})), all(sc.CaseCounts(ctx, store.CaseFilter{Constituent: id, Closed: true, Covered: true}))...)
	}, "", "alpha", "canaryb", "nosuch"),
	"Touched": each(func(ctx context.Context, sc *store.Scoped, id string) []any {
		a, n, err := sc.Touched(ctx, id, 100)
		return []any{a, n, err}
	}, "", "alpha", "canaryb", "nosuch"),
	"Told": each(func(ctx context.Context, sc *store.Scoped, id string) []any {
		return append(all(sc.Told(ctx, id, nil, 100)), all(sc.Told(ctx, id, []string{"CVE-2026-1001", "CVE-2026-6666"}, 100))...)
	}, "", "alpha", "canaryb", "nosuch"),
	"Waiting":        func(ctx context.Context, sc *store.Scoped, x targets) []any { return all(sc.Waiting(ctx, 100)) },
	"Constituents":   func(ctx context.Context, sc *store.Scoped, x targets) []any { return all(sc.Constituents(ctx)) },
	"Constituent":    each(func(ctx context.Context, sc *store.Scoped, id string) []any { return all(sc.Constituent(ctx, id)) }, "alpha", "canaryb", "nosuch", "", "%", "alpha' or 1=1 --"),
	"Overviews":      each(func(ctx context.Context, sc *store.Scoped, id string) []any { return all(sc.Overviews(ctx, id)) }, "", "alpha", "canaryb", "nosuch"),
	"ExposureCounts": each(func(ctx context.Context, sc *store.Scoped, id string) []any { return all(sc.ExposureCounts(ctx, id)) }, "alpha", "canaryb", "nosuch"),
	"Events": func(ctx context.Context, sc *store.Scoped, x targets) []any {
		return append(all(sc.Events(ctx, store.EventFilter{Limit: 1000})), append(all(sc.Events(ctx, store.EventFilter{Constituent: "canaryb"})), all(sc.Events(ctx, store.EventFilter{Principal: "canaryb.user"}))...)...)
	},
	"EventsAfter":    func(ctx context.Context, sc *store.Scoped, x targets) []any { return all(sc.EventsAfter(ctx, 0, 1000)) },
	"LastEvent":      func(ctx context.Context, sc *store.Scoped, x targets) []any { return all(sc.LastEvent(ctx)) },
	"Findings":       findings((*store.Scoped).Findings),
	"FindingsInFull": findings((*store.Scoped).FindingsInFull),
	"Finding": func(ctx context.Context, sc *store.Scoped, x targets) (out []any) {
		return one(ctx, sc.Finding, append(slices.Clone(x.findings), append(x.mine, "F-0000000000000001", "F-x")...))
	},
	"SharedFindings": each(func(ctx context.Context, sc *store.Scoped, id string) []any { return all(sc.SharedFindings(ctx, id)) }, "", "CVE-2026-1001", "CVE-2026-6666", "check:canaryb-check"),
	"SoftwareNamed": func(ctx context.Context, sc *store.Scoped, x targets) []any {
		return all(sc.SoftwareNamed(ctx, x.names))
	},
	"Beside":              func(ctx context.Context, sc *store.Scoped, x targets) []any { return all(sc.Beside(ctx, keysTo(200))) },
	"NamesSeen":           func(ctx context.Context, sc *store.Scoped, x targets) []any { return all(sc.NamesSeen(ctx)) },
	"NamesSpoken":         func(ctx context.Context, sc *store.Scoped, x targets) []any { return all(sc.NamesSpoken(ctx, x.names)) },
	"NamesWithWeaknesses": func(ctx context.Context, sc *store.Scoped, x targets) []any { return all(sc.NamesWithWeaknesses(ctx)) },
	"Assets": func(ctx context.Context, sc *store.Scoped, x targets) (out []any) {
		for _, c := range []string{"", "alpha", "canaryb"} {
			for _, after := range []string{"", "a", "www"} {
				as, err := sc.Assets(ctx, store.AssetFilter{Constituent: c, After: after})
				out = append(out, as, echoless(err, c))
				as, err = sc.Assets(ctx, store.AssetFilter{Constituent: c, Text: after, Kind: vedette.NameAsset})
				out = append(out, as, echoless(err, c))
			}
		}
		return out
	},
	"Asset": func(ctx context.Context, sc *store.Scoped, x targets) []any {
		return one(ctx, sc.Asset, append(slices.Clone(x.assets), "vpn.alpha.example", "nosuch.example"))
	},
	"Sources": func(ctx context.Context, sc *store.Scoped, x targets) []any { return all(sc.Sources(ctx)) },
	"Statements": each(func(ctx context.Context, sc *store.Scoped, id string) []any {
		c, sts, err := sc.Statements(ctx, id)
		return []any{c, sts, err}
	}, wallsIDs...),
	"Objects": each(func(ctx context.Context, sc *store.Scoped, typ string) (out []any) {
		for _, limit := range []int{1, 3, 100} {
			for at, more := (store.Cursor{}), true; more; {
				rows, next, err := sc.Objects(ctx, typ, at, limit)
				out = append(out, rows, err)
				at, more = next, len(rows) == limit
			}
		}
		return out
	}, vedette.TypeVulnerability, vedette.TypeActor, vedette.TypeProduct, vedette.TypeRelationship, "weakness", "nosuch", ""),
	"Search": each(func(ctx context.Context, sc *store.Scoped, words string) []any {
		return append(all(sc.Search(ctx, words, 1)), all(sc.Search(ctx, words, 100))...)
	}, append(slices.Clone(wallsIDs), wallsWords...)...),
	"Neighbours": each(func(ctx context.Context, sc *store.Scoped, id string) []any { return all(sc.Neighbours(ctx, id, 100)) }, wallsIDs...),
	"Ranges":     each(func(ctx context.Context, sc *store.Scoped, id string) []any { return all(sc.Ranges(ctx, id)) }, wallsIDs...),
	"EPSS":       each(func(ctx context.Context, sc *store.Scoped, id string) []any { return all(sc.EPSS(ctx, id)) }, wallsIDs...),
	"Surveys": each(func(ctx context.Context, sc *store.Scoped, id string) (out []any) {
		for _, f := range []store.SurveyFilter{{Constituent: id, Limit: 100}, {Constituent: id, State: vedette.SurveyRunning}, {Constituent: id, Kind: vedette.FullSurvey, Limit: 1}} {
			for more := true; more; more = f.After != "" {
				ss, next, err := sc.Surveys(ctx, f)
				out, f.After = append(out, ss, next, err), next
			}
		}
		return out
	}, "", "alpha", "canaryb"),
	"Parts": func(ctx context.Context, sc *store.Scoped, x targets) []any {
		return one(ctx, func(ctx context.Context, id string) ([]store.PartView, error) { return sc.Parts(ctx, id, 100) }, append(slices.Clone(x.surveys), "S-0000000000"))
	},
	"Stopped":  nil,
	"Surveyed": each(func(ctx context.Context, sc *store.Scoped, id string) []any { return all(sc.Surveyed(ctx, id)) }, "alpha", "canaryb"),
	"Survey": func(ctx context.Context, sc *store.Scoped, x targets) []any {
		return one(ctx, sc.Survey, append(slices.Clone(x.surveys), "S-0000000000"))
	},
	"Changes": each(func(ctx context.Context, sc *store.Scoped, id string) []any {
		var out []any
		for _, f := range []store.ChangeFilter{{}, {Limit: 1}, {What: "vanished"}, {Since: time.Date(2026, 2, 21, 0, 0, 0, 0, time.UTC)}} {
			for f.Constituent = id; ; {
				cs, next, err := sc.Changes(ctx, f)
				out = append(out, cs, err)
				if f.After = next; next == "" {
					break
				}
			}
		}
		return out
	}, "", "alpha", "canaryb"),
	"Exposed":   each(func(ctx context.Context, sc *store.Scoped, id string) []any { return all(sc.Exposed(ctx, id)) }, "alpha", "canaryb", "nosuch"),
	"Unknowns":  func(ctx context.Context, sc *store.Scoped, x targets) []any { return all(sc.Unknowns(ctx, 1000)) },
	"Schedules": func(ctx context.Context, sc *store.Scoped, x targets) []any { return all(sc.Schedules(ctx)) },
	"Cases": each(func(ctx context.Context, sc *store.Scoped, id string) []any {
		a, _, err := sc.Cases(ctx, store.CaseFilter{Constituent: id, Closed: true, Covered: true, Limit: 1000})
		return []any{a, err}
	}, "", "alpha", "canaryb"),
	"KnownExploited": each(func(ctx context.Context, sc *store.Scoped, id string) []any { return all(sc.KnownExploited(ctx, id)) }, "alpha", "canaryb", "nosuch"),
	"CountCases": each(func(ctx context.Context, sc *store.Scoped, text string) []any {
		n, more, err := sc.CountCases(ctx, store.CaseFilter{Text: text, Closed: true})
		a, _, err2 := sc.Cases(ctx, store.CaseFilter{Text: text, Closed: true})
		b, _, err3 := sc.Cases(ctx, store.CaseFilter{Product: text, Closed: true})
		return []any{n, more, err, a, err2, b, err3}
	}, append(append(slices.Clone(wallsIDs), wallsWords...), "access_gateway", "examplesoft/access_gateway", "vpn.canaryb.example")...),
	"Case": func(ctx context.Context, sc *store.Scoped, x targets) []any {
		return one(ctx, sc.Case, append(slices.Clone(x.cases), "C-000000000000"))
	},
	"CaseHistory": func(ctx context.Context, sc *store.Scoped, x targets) []any {
		return one(ctx, sc.CaseHistory, append(slices.Clone(x.cases), "C-000000000000"))
	},
	"Publications": func(ctx context.Context, sc *store.Scoped, x targets) []any {
		return all(sc.Publications(ctx, "", 100))
	},
	"PublicationsOf": each(func(ctx context.Context, sc *store.Scoped, id string) []any { return all(sc.PublicationsOf(ctx, id)) }, "CVE-2026-1001", "CVE-2026-6666", "check:canaryb-check"),
	"Titles":         func(ctx context.Context, sc *store.Scoped, x targets) []any { return all(sc.Titles(ctx, wallsIDs)) },
	"Tallies": func(ctx context.Context, sc *store.Scoped, x targets) []any {
		return all(sc.Tallies(ctx, x.publications))
	},
	"Vulnerabilities": func(ctx context.Context, sc *store.Scoped, x targets) (out []any) {
		for _, f := range []store.VulnerabilityFilter{{}, {Limit: 1}, {Exploited: true}, {Exploited: true, Limit: 1}, {Touching: true}, {Words: "canaryred"}, {Words: "code"}, {Words: "canaryb", Exploited: true}, {Words: "code", Touching: true}} {
			for more := true; more; {
				var rows []store.VulnerabilityRow
				var err error
				rows, f.After, more, err = sc.Vulnerabilities(ctx, f)
				out = append(out, rows, err)
			}
		}
		return out
	},
	"Publication": func(ctx context.Context, sc *store.Scoped, x targets) []any {
		return one(ctx, sc.Publication, append(slices.Clone(x.publications), "P-0000000000"))
	},
	"Editions": func(ctx context.Context, sc *store.Scoped, x targets) []any {
		return one(ctx, sc.Editions, append(slices.Clone(x.publications), "P-0000000000"))
	},
	"Deliveries": func(ctx context.Context, sc *store.Scoped, x targets) []any {
		return one(ctx, sc.Deliveries, append(slices.Clone(x.publications), "P-0000000000"))
	},
	"Tries": func(ctx context.Context, sc *store.Scoped, x targets) []any {
		return one(ctx, sc.Tries, append(slices.Clone(x.publications), "P-0000000000"))
	},
	"Unsent":     func(ctx context.Context, sc *store.Scoped, x targets) []any { return all(sc.Unsent(ctx, 1000)) },
	"Decisions":  each(func(ctx context.Context, sc *store.Scoped, id string) []any { return all(sc.Decisions(ctx, id, 100)) }, "", "CVE-2026-1001", "CVE-2026-6666", "check:canaryb-check"),
	"Feeds":      func(ctx context.Context, sc *store.Scoped, x targets) []any { return all(sc.Feeds(ctx)) },
	"ApplyFeeds": nil, "EnableFeed": nil, "AskFeed": nil,
	"Decide": nil, "ApproveDecision": nil, "EndDecision": nil,
	"SaveDraft": nil, "Approve": nil, "Withdraw": nil, "Publish": nil, "Bounce": nil, "Redeliver": nil,
	"SetCase": nil, "SetCases": nil, "Undo": nil, "OptOuts": nil, "SetOptOut": nil, "SetSchedule": nil, "AddSurvey": nil, "StopSurvey": nil, "ResumeSurveys": nil, "GrantWorker": nil, "Record": nil,
	"Users": nil, "Account": nil, "Tokens": nil, "VerifyAudit": nil, "Verify": nil, "Backup": nil, "Restore": nil, "Rebuild": nil, "Purge": nil, "Compact": nil,
	"ApplyConstituents": nil, "AddUser": nil, "DisableUser": nil, "SetPassword": nil, "ChangePassword": nil, "BeginCodes": nil, "ConfirmCodes": nil, "RemoveCodes": nil, "AddLink": nil, "SessionsOf": nil, "EndSessions": nil, "Unlock": nil,
	"PasskeyHandle": nil, "AddPasskey": nil, "Passkeys": nil, "RemovePasskeys": nil, "MapSubject": nil, "UnmapSubjects": nil, "Subjects": nil, "AddToken": nil, "RevokeToken": nil, "Take": nil,
}

var (
	wallsIDs = []string{"CVE-2026-1001", "CVE-2026-1002", "CVE-2026-5555", "CVE-2026-6666", "CVE-2026-9999", "GHSA-2222-3333-4444", "check:canaryb-check",
		"intrusion-set:public heron", "intrusion-set:canaryred actor", "intrusion-set:canaryamber actor", ""}
	wallsWords = []string{"canaryred", "canaryamber", "canaryb", "CANARYREDtitle", "canaryredwords", "CANARYBtitle", "CANARYAMBERtitle", "CANARYRED ACTOR", "heron", "gateway", "code", "*", `"`, "canary*", "title OR words", "-code", "code\x00x"}
)

func all[T any](v T, err error) []any { return []any{v, err} }

func one[T any](ctx context.Context, f func(context.Context, string) (T, error), ids []string) (out []any) {
	for _, id := range ids {
		v, err := f(ctx, id)
		out = append(out, echoless(v, id), echoless(err, id))
	}
	return out
}

func each(f func(context.Context, *store.Scoped, string) []any, args ...string) reading {
	return func(ctx context.Context, sc *store.Scoped, x targets) (out []any) {
		for _, a := range args {
			for _, v := range f(ctx, sc, a) {
				if err, ok := v.(error); ok {
					v = echoless(err, a)
				}
				out = append(out, v)
			}
		}
		return out
	}
}

// echoless is an error without what the caller himself said.
func echoless(v any, arg string) any {
	if err, ok := v.(error); ok && err != nil && arg != "" {
		return strings.ReplaceAll(err.Error(), arg, "ARG")
	}
	return v
}

func findings(f func(*store.Scoped, context.Context, store.FindingFilter) ([]vedette.Finding, int64, error)) reading {
	return func(ctx context.Context, sc *store.Scoped, x targets) (out []any) {
		filters := []store.FindingFilter{{}, {Limit: 1}, {Exploited: true}, {Constituent: "alpha"}, {Constituent: "canaryb"}, {Weakness: "CVE-2026-1001"}, {Weakness: "CVE-2026-6666"},
			{Weakness: "check:canaryb-check"}, {Verdict: vedette.Confirmed}, {Presence: vedette.Fixed}, {Presence: vedette.NotObserved}}
		for _, a := range append(slices.Clone(x.assets), "vpn.alpha.example", "192.0.2.10") {
			filters = append(filters, store.FindingFilter{Asset: a})
		}
		for _, id := range x.findings {
			k, _ := vedette.ParseFindingID(id)
			filters = append(filters, store.FindingFilter{After: k - 1, Limit: 1})
		}
		for _, filter := range filters {
			for {
				fs, next, err := f(sc, ctx, filter)
				for _, arg := range []string{filter.Constituent, filter.Asset, filter.Weakness} {
					if err != nil && arg != "" {
						err = errors.New(strings.ReplaceAll(err.Error(), arg, "ARG"))
					}
				}
				if out = append(out, fs, err); next == 0 {
					break
				}
				filter.After = next
			}
		}
		return out
	}
}

func keysTo(n int64) map[int64]bool {
	out := map[int64]bool{}
	for k := range n {
		out[k] = true
	}
	return out
}

// textsOf are all texts in a value, unexported ones and bytes included.
func textsOf(v reflect.Value, into *strings.Builder) {
	switch v.Kind() {
	case reflect.String:
		into.WriteString(v.String())
		into.WriteByte('\n')
	case reflect.Pointer, reflect.Interface:
		if e, ok := v.Interface().(error); v.CanInterface() && ok && e != nil {
			into.WriteString(e.Error())
		} else if !v.IsNil() {
			textsOf(v.Elem(), into)
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 && v.Kind() == reflect.Slice {
			into.Write(v.Bytes())
			return
		}
		for i := range v.Len() {
			textsOf(v.Index(i), into)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			textsOf(it.Key(), into)
			textsOf(it.Value(), into)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				textsOf(v.Field(i), into)
			}
		}
	case reflect.Float64:
		fmt.Fprintln(into, v.Float())
	case reflect.Int:
		fmt.Fprintln(into, v.Int())
	}
}

// TestWallsOfTheStore walks every exported method as every principal.
func TestWallsOfTheStore(t *testing.T) {
	typ := reflect.TypeFor[*store.Scoped]()
	for i := range typ.NumMethod() {
		if _, known := methods[typ.Method(i).Name]; !known {
			t.Errorf("store.Scoped.%s is not walked: add it to methods", typ.Method(i).Name)
		}
	}
	storetest.Each(t, func(t *testing.T, place string) {
		w := wallsWorld(t, place, true)
		w.share()
		x := w.targets()
		before := w.hashes()
		for _, who := range walkers(place) {
			p := wallsPeople[who]
			sc := w.run(p).sc
			for name, read := range methods {
				if read == nil {
					continue
				}
				var said strings.Builder
				for _, v := range read(context.Background(), sc, x) {
					if v != nil {
						textsOf(reflect.ValueOf(v), &said)
					}
				}
				text := strings.ToLower(said.String())
				if (slices.Contains([]string{"Events", "EventsAfter"}, name) && policy.AllAudit(p)) || (name == "Sources" && slices.Contains([]string{"auditor", "admin", "responder"}, who)) {
					continue // the record of all, by the policy
				}
				for _, c := range mustNot(who) {
					if i := strings.Index(text, c); i >= 0 {
						t.Errorf("%s reads %q by %s: ...%s...", who, c, name, text[max(0, i-80):min(len(text), i+80)])
					}
				}
			}
			refused(t, who, sc)
		}
		sameHashes(t, w.hashes(), before, "after reading")
		w.positive()
	})
}

// refused calls what concerns the whole store: who may not is refused before
// anything is read or written.
func refused(t *testing.T, who string, sc *store.Scoped) {
	t.Helper()
	acts := concerning(context.Background(), sc)
	maps.Copy(acts, signInOfOthers(context.Background(), sc))
	for name, c := range acts {
		if policy.May(sc.Principal(), c.act) {
			continue
		}
		if err := c.do(); !errors.Is(err, vedette.ErrRefused) {
			t.Errorf("%s: %s is not refused: %v", who, name, err)
		}
	}
}

// concern is one call of a method that the policy decides on by itself.
type concern struct {
	act policy.Act
	do  func() error
}

// signInOfOthers are the calls that change how somebody gets in.
func signInOfOthers(ctx context.Context, sc *store.Scoped) map[string]concern {
	return map[string]concern{
		"SetPassword": {"user password", func() error { return sc.SetPassword(ctx, "canaryb.user", "four words are easy") }},
		"ChangePassword": {"user password", func() error {
			_, err := sc.ChangePassword(ctx, "", "four words are easy", "192.0.2.1")
			return err
		}},
		"BeginCodes":   {"user totp", func() error { _, err := sc.BeginCodes(ctx, "canaryb.user"); return err }},
		"ConfirmCodes": {"user totp", func() error { _, err := sc.ConfirmCodes(ctx, "canaryb.user", "123456"); return err }},
		"RemoveCodes":  {"user totp", func() error { return sc.RemoveCodes(ctx, "canaryb.user") }},
		"AddLink":      {"user link", func() error { _, err := sc.AddLink(ctx, "canaryb.user", true); return err }},
		"SessionsOf":   {"user sessions", func() error { _, err := sc.SessionsOf(ctx, "canaryb.user"); return err }},
		"EndSessions":  {"user sessions", func() error { return sc.EndSessions(ctx, "canaryb.user") }},
		"Unlock":       {"user unlock", func() error { return sc.Unlock(ctx, "canaryb.user", "") }},
		"AddPasskey": {"user passkeys", func() error {
			if err := sc.AddPasskey(ctx, vedette.Passkey{ID: []byte("id"), Name: "k", Body: []byte("{}")}); !errors.Is(err, vedette.ErrNotFound) {
				return err
			}
			return vedette.Refused("it is for oneself, and the principals of this test are no users")
		}},
		"Passkeys":       {"user passkeys", func() error { _, err := sc.Passkeys(ctx, "canaryb.user"); return err }},
		"RemovePasskeys": {"user passkeys", func() error { return sc.RemovePasskeys(ctx, "canaryb.user", "") }},
		"MapSubject":     {"user subject", func() error { return sc.MapSubject(ctx, vedette.Subject{User: "canaryb.user"}) }},
		"UnmapSubjects":  {"user subject", func() error { return sc.UnmapSubjects(ctx, "canaryb.user") }},
		"Subjects":       {"user subject", func() error { _, err := sc.Subjects(ctx, "canaryb.user"); return err }},
	}
}

// concerning are the calls that refused makes.
func concerning(ctx context.Context, sc *store.Scoped) map[string]concern {
	return map[string]concern{
		"Users":             {"user list", func() error { _, err := sc.Users(ctx); return err }},
		"Tokens":            {"token list", func() error { _, err := sc.Tokens(ctx); return err }},
		"VerifyAudit":       {"audit verify", func() error { _, _, err := sc.VerifyAudit(ctx); return err }},
		"Verify":            {"verify", func() error { _, err := sc.Verify(ctx); return err }},
		"Backup":            {"backup", func() error { _, err := sc.Backup(ctx, io.Discard); return err }},
		"Restore":           {"restore", func() error { _, err := sc.Restore(ctx, strings.NewReader("")); return err }},
		"Rebuild":           {"rebuild", func() error { return sc.Rebuild(ctx, nil, nil) }},
		"Purge":             {"purge", func() error { _, err := sc.Purge(ctx, store.Purge{Source: "x"}, "r", nil); return err }},
		"Compact":           {"purge", func() error { return sc.Compact(ctx) }},
		"ApplyConstituents": {"constituent apply", func() error { return sc.ApplyConstituents(ctx, nil, []string{"canaryb"}, nil, nil, nil) }},
		"AddUser": {"user add", func() error {
			return sc.AddUser(ctx, vedette.Principal{Name: "evil", Roles: []vedette.Role{vedette.Lead}})
		}},
		"DisableUser": {"user disable", func() error { return sc.DisableUser(ctx, "canaryb.user") }},
		"AddToken": {"token add", func() error {
			_, err := sc.AddToken(ctx, store.Token{Name: "evil", User: "local", Role: vedette.API})
			return err
		}},
		"RevokeToken": {"token revoke", func() error { return sc.RevokeToken(ctx, "canaryb.token") }},
		"Decide": {"case decide", func() error {
			_, err := sc.Decide(ctx, vedette.Decision{Kind: vedette.FalsePositive, Weakness: "CVE-2026-1001", Reason: "r"})
			return err
		}},
		"ApproveDecision":   {"case approve", func() error { _, err := sc.ApproveDecision(ctx, "D-0000000000"); return err }},
		"EndDecision":       {"case revoke", func() error { _, err := sc.EndDecision(ctx, "D-0000000000", "r"); return err }},
		"Publish":           {"publication publish", func() error { _, err := sc.Publish(ctx, "P-0000000000", nil, nil); return err }},
		"Bounce":            {"publication bounce", func() error { _, err := sc.Bounce(ctx, "P-0000000000", "a@b.example", "r"); return err }},
		"Redeliver":         {"publication redeliver", func() error { _, err := sc.Redeliver(ctx, "P-0000000000", ""); return err }},
		"SaveDraft":         {"publication draft", func() error { _, _, err := sc.SaveDraft(ctx, "alert", "CVE-2026-1001", nil); return err }},
		"Approve":           {"publication approve", func() error { _, err := sc.Approve(ctx, "P-0000000000", "TA"); return err }},
		"Withdraw":          {"publication withdraw", func() error { return sc.Withdraw(ctx, "P-0000000000", "r") }},
		"SetCase":           {"case set", func() error { _, err := sc.SetCase(ctx, "C-000000000000", store.CaseChange{}); return err }},
		"OptOuts":           {"survey optout list", func() error { _, err := sc.OptOuts(ctx); return err }},
		"SetOptOut":         {"survey optout add", func() error { return sc.SetOptOut(ctx, vedette.OptOut{What: "192.0.2.1", Reason: "r"}) }},
		"SetOptOut, remove": {"survey optout remove", func() error { return sc.SetOptOut(ctx, vedette.OptOut{What: "192.0.2.1"}) }},
		"SetSchedule":       {"survey schedule set", func() error { return sc.SetSchedule(ctx, vedette.Schedule{Constituent: "alpha"}) }},
		"AddSurvey": {"survey run", func() error {
			_, err := sc.AddSurvey(ctx, vedette.Survey{Constituent: "alpha", Kind: vedette.FullSurvey}, nil, nil)
			return err
		}},
		"AddSurvey, retest": {"finding retest", func() error {
			_, err := sc.AddSurvey(ctx, vedette.Survey{Constituent: "alpha", Kind: vedette.RetestSurvey}, nil, nil)
			return err
		}},
		"Feeds":               {"feed list", func() error { _, err := sc.Feeds(ctx); return err }},
		"ApplyFeeds":          {"feed apply", func() error { return sc.ApplyFeeds(ctx, []vedette.Feed{{Name: "evil"}}, nil) }},
		"EnableFeed":          {"feed enable", func() error { return sc.EnableFeed(ctx, "cisa-kev", true) }},
		"AskFeed":             {"feed run", func() error { return sc.AskFeed(ctx, "cisa-kev") }},
		"EnableFeed, disable": {"feed disable", func() error { return sc.EnableFeed(ctx, "cisa-kev", false) }},
		"Stopped":             {"survey stop", func() error { _, err := sc.Stopped(ctx); return err }},
		"StopSurvey":          {"survey stop", func() error { return sc.StopSurvey(ctx, "", "r") }},
		"ResumeSurveys":       {"survey resume", func() error { return sc.ResumeSurveys(ctx, "r") }},
		"GrantWorker":         {"migrate", func() error { return sc.GrantWorker(ctx, "evil", nil) }},
		"Record":              {"job retry", func() error { return sc.Record(ctx, "job retry", "1") }},
		"Take": {"import", func() error {
			_, err := sc.Take(ctx, vedette.Intake{Constituent: "canaryb"}, vedette.Source{Name: "s", Marking: vedette.Marking{TLP: 1}}, store.Way{})
			return err
		}},
	}
}

// positive: the walls are not simply closed.
func (w *world) positive() {
	w.t.Helper()
	ctx := context.Background()
	sc := w.run(wallsPeople["viewer A"]).sc
	shared, err := sc.SharedFindings(ctx, "")
	if err != nil || len(shared) == 0 || slices.ContainsFunc(shared, func(f vedette.Finding) bool { return !onlyTheFact(f) }) {
		w.t.Errorf("the user of a shared asset is told %+v, %v", shared, err)
	}
	for _, q := range []string{"FORALPHAtitle", "heron"} {
		if rows, err := sc.Search(ctx, q, 10); err != nil || len(rows) == 0 {
			w.t.Errorf("Alpha does not find %s: %v", q, err)
		}
	}
	rita := w.run(vedette.Principal{Name: "rita", Roles: []vedette.Role{vedette.Analyst}}).sc
	if rows, err := rita.Search(ctx, "CANARYRED ACTOR", 10); err != nil || len(rows) == 0 {
		w.t.Errorf("Rita does not find her RED: %v", err)
	}
	both := w.run(wallsPeople["viewer A+B"]).sc
	if fs, _, err := both.Findings(ctx, store.FindingFilter{}); err != nil || !slices.ContainsFunc(fs, func(f vedette.Finding) bool { return f.Constituent == "canaryb" }) {
		w.t.Errorf("a viewer of both sees nothing of Bravo: %v", err)
	}
}

func onlyTheFact(f vedette.Finding) bool {
	return f.Asset == "www.shared.example" && f.Shared && f.ID == "" && f.Port == 0 && f.Constituent == "" && f.Path == "" && f.Evidence == nil && f.FirstSeen.IsZero() && f.LastSeen.IsZero()
}
