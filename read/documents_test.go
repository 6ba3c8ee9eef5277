package read

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// One record says the same alone, indented, in an array and on a line.
func TestOneRecordInEveryForm(t *testing.T) {
	compact := `{"id":"OSV-1","modified":"2031-01-01T00:00:00Z","summary":"a"}`
	var v any
	if err := json.Unmarshal([]byte(compact), &v); err != nil {
		t.Fatal(err)
	}
	pretty, _ := json.MarshalIndent(v, "", "  ")
	for _, in := range []string{
		compact, compact + "\n", "\n\n" + compact, string(pretty), "\xef\xbb\xbf" + string(pretty) + "\n", "[" + compact + "]", " [\n" + string(pretty) + "\n]\n",
	} {
		res, err := readAll(osvRecords, []byte(in))
		if err != nil || len(res.Records) != 1 || res.Records[0].Refused != "" {
			t.Errorf("%q: %+v, %v", in, res, err)
			continue
		}
		want, _ := sayOSV([]byte(compact))
		if !reflect.DeepEqual(*res.Records[0].Said, want) {
			t.Errorf("%q says %+v", in, res.Records[0].Said)
		}
		if f, err := Sniff([]byte(in)); err != nil || f.Name != "osv" {
			t.Errorf("%q: sniffed as %q, %v", in, f.Name, err)
		}
	}
}

// A bad line is refused alone, with its number.
func TestBadLineIsRefusedAlone(t *testing.T) {
	good := `{"id":"OSV-1","modified":"2031-01-01T00:00:00Z"}`
	res, err := readAll(osvRecords, []byte(strings.Join([]string{`{"id":}`, good, "7", `{"id":"x"}`, good[:20], good}, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	var refused []string
	for _, r := range res.Records {
		if r.Refused != "" {
			refused = append(refused, r.Where)
		}
	}
	if want := []string{"line 1", "line 3", "line 4", "line 5"}; !reflect.DeepEqual(refused, want) || len(res.Records) != 6 {
		t.Errorf("refused %q of %d, want %q", refused, len(res.Records), want)
	}
}

// So is a bad element of an array, while the array itself can be read.
func TestBadElementIsRefusedAlone(t *testing.T) {
	good := `{"id":"OSV-1","modified":"2031-01-01T00:00:00Z"}`
	res, err := readAll(osvRecords, []byte(`[`+good+`,{"id":"a","ID":"b"},`+good+`,7]`))
	if err != nil || len(res.Records) != 4 || res.Records[1].Refused == "" || res.Records[1].Where != "/1" || res.Records[3].Refused == "" {
		t.Errorf("%+v, %v", res, err)
	}
}

// An asset with a refused row has no coverage: what is missing may be in that row.
func TestInventoryWithARefusedRow(t *testing.T) {
	res, err := readAll(inventory, []byte("asset;product;port\n192.0.2.7;a;\n192.0.2.7;b;70000\n192.0.2.8;c;\n"))
	if err != nil || len(res.Records) != 3 {
		t.Fatalf("%+v, %v", res, err)
	}
	if res.Records[0].Where != "line 3" || !strings.Contains(res.Records[0].Refused, "port") {
		t.Errorf("refused %+v", res.Records[0])
	}
	if s := res.Records[1].Said; len(s.Observations) != 1 || len(s.Coverage) != 0 {
		t.Errorf("the asset with a refused row says %+v", s)
	}
	if s := res.Records[2].Said; len(s.Observations) != 1 || len(s.Coverage) != 1 {
		t.Errorf("the other asset says %+v", s)
	}
	// a row whose asset cannot be read may be of any
	res, err = readAll(inventory, []byte("asset,product\n192.0.2.7,a\nx,y,z\n"))
	if err != nil || len(res.Records) != 2 || len(res.Records[1].Said.Coverage) != 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

// Of a whole document one refused record is the end.
func TestWholeEndsWithTheFirstRefused(t *testing.T) {
	in := `{"catalogVersion":"1","count":2,"vulnerabilities":[{"cveID":"CVE-2031-0001","dateAdded":"2031-01-01"},{"cveID":"CVE-2031-0002"}]}`
	res, err := readAll(kevJSON, []byte(in))
	if err == nil || !strings.Contains(err.Error(), "/vulnerabilities/1") || len(res.Records) != 1 {
		t.Errorf("%d records, %v", len(res.Records), err)
	}
}
