package web

import (
	"context"
	"net/url"

	"github.com/vedette-hub/vedette/face"
)

// retest looks again at the places of findings.
func retest(ctx context.Context, d face.Desk, ids []string, _ url.Values) (string, int64, error) {
	ss, err := d.Retest(ctx, ids)
	if err != nil {
		return "", 0, err
	}
	return title(count(len(ids), "place")) + " are looked at again, in " + count(len(ss), "survey") + ".", 0, nil
}
