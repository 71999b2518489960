package scopes

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// Denied tells of these records of a room which somebody may not read, whether they exist or not. There are at most wire.MaxBulkNames. Where the
// rules would have to look at too much for all of them, some are left out, never the first.
func Denied(ctx context.Context, b bus.Bus, room string, by state.Caller, records []string) (map[string]bool, error) {
	var ask wire.RecordRead
	for _, name := range records {
		ask.Records = append(ask.Records, wire.RecordWanted{Name: name, Head: true})
	}
	by.Session = "" // who is not attached may ask too
	answer, err := b.Request(ctx, Subject, Request{Room: room, By: by, Type: wire.TypeRecordRead, Body: encode(ask)}.Encode())
	var a Answer
	if err == nil {
		err = json.Unmarshal(answer, &a)
	}
	if err == nil && a.Error != nil {
		err = a.Error
	}
	var body wire.Records
	if err == nil {
		err = json.Unmarshal(a.Body, &body)
	}
	if err == nil && len(body.Results) != len(records) {
		err = fmt.Errorf("%d results for %d records", len(body.Results), len(records))
	}
	if err != nil {
		return nil, fmt.Errorf("ask which records may be read: %w", err)
	}
	denied := map[string]bool{}
	for i, r := range body.Results {
		if i > 0 && r.Error != nil && r.Error.Code == wire.CodeLimit { // the first had all that there is
			continue
		}
		denied[records[i]] = r.Error != nil && r.Error.Code != wire.CodeNotFound
	}
	return denied, nil
}
