package read

import (
	"bytes"
	"io"
	"path/filepath"
	"testing"

	"github.com/vedette-hub/vedette/safe"
)

// bodies are the records of a published file.
func bodies(b *testing.B, f Format, path string) (document []byte, records [][]byte) {
	b.Helper()
	err := safe.MembersFile(filepath.Join(realData(b), path), safe.Limits{}, func(m safe.Member) error {
		var err error
		document, err = io.ReadAll(m.R)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	_, err = f.Parse(bytes.NewReader(document), func(r Record) error {
		records = append(records, bytes.Clone(r.Body))
		return r.Err
	})
	if err != nil {
		b.Fatal(err)
	}
	return document, records
}

var benched = []struct {
	format Format
	path   string
}{
	{cveRecords, "vuln/cve5-vulnrichment.jsonl.gz"},
	{kevJSON, "vuln/kev-2025-02-25.json.gz"},
	{epssScores, "vuln/epss_scores-2025-02-23.csv.gz"},
	{nvdOverrides, "vuln/nvd-cpe-configurations-anchore.jsonl.gz"},
}

// BenchmarkSay is what a rebuild costs.
func BenchmarkSay(b *testing.B) {
	for _, c := range benched {
		b.Run(c.format.Name, func(b *testing.B) {
			_, records := bodies(b, c.format, c.path)
			n := 0
			for b.Loop() {
				for _, r := range records {
					if _, err := c.format.Say(r); err != nil {
						b.Fatal(err)
					}
				}
				n += len(records)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkRead is what an import costs before the store: parse and say.
func BenchmarkRead(b *testing.B) {
	for _, c := range benched {
		b.Run(c.format.Name, func(b *testing.B) {
			document, records := bodies(b, c.format, c.path)
			b.SetBytes(int64(len(document)))
			n := 0
			for b.Loop() {
				if _, err := c.format.Read(bytes.NewReader(document), func(Record, Said) error { return nil }); err != nil {
					b.Fatal(err)
				}
				n += len(records)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkSniff is what each member of an archive costs before it is read.
func BenchmarkSniff(b *testing.B) {
	all := samples(b)
	for b.Loop() {
		for _, s := range all {
			if _, err := Sniff(s.bytes); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N*len(all))/b.Elapsed().Seconds(), "documents/s")
}
