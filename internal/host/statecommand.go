package host

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	ossignal "os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/parley-rtc/parley/internal/api"
	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/bus/nats"
	"github.com/parley-rtc/parley/internal/obs"
	"github.com/parley-rtc/parley/wire"
)

type stateCommand struct {
	Ls listCommand   `cmd:"" help:"List the rooms of which something is stored, largest first."`
	Rm removeCommand `cmd:"" help:"Remove all that is stored of rooms: their durable records and their logs."`
}

type listCommand struct {
	Shared     `embed:""`
	StateBytes int64 `name:"state-bytes" default:"1073741824" placeholder:"BYTES" help:"How large what is stored of durable records may be, where no server runs to tell. Default: 1 GiB."`
	JSON       bool  `name:"json" help:"Print the list as JSON, as GET /v1/stored answers."`
}

type removeCommand struct {
	Shared `embed:""`
	Yes    bool     `help:"Do not ask."`
	Rooms  []string `arg:"" name:"room" help:"Rooms, as parley state ls prints them."`
}

// Help implements kong.HelpProvider.
func (stateCommand) Help() string {
	return `What lasts of rooms is in the data folder: durable records of shared state, and each room's log. Both commands need that folder alone, as the user of the server or as
root, and work whether the server runs or not: they ask it where it does.`
}

// Help implements kong.HelpProvider.
func (removeCommand) Help() string {
	return `A room in which somebody is, or was within the last half minute or so (--linger), is not touched. The server's own records stay: programs delete these. Nothing is
removed where one of the rooms has nothing stored, or is in use.`
}

// listStored prints what is stored.
func (p process) listStored(c *listCommand) error {
	return p.withArchive(&c.Shared, c.StateBytes, func(ctx context.Context, store api.Store) error {
		stored, err := store.List(ctx, nil)
		switch {
		case err != nil:
			return err
		case c.JSON:
			e := json.NewEncoder(p.stdout)
			e.SetEscapeHTML(false)
			e.SetIndent("", "  ")
			return e.Encode(stored)
		}
		writeStored(p.stdout, stored)
		return nil
	})
}

// writeStored prints a list for people.
func writeStored(out io.Writer, s api.Stored) {
	var t table
	t.add("RECORDS", "LOG", "", "ROOM")
	for _, r := range s.Rooms {
		open := ""
		if r.Open {
			open = "open"
		}
		t.add(byteText(r.RecordBytes), byteText(r.LogBytes), open, printed(r.Room))
	}
	if len(s.Rooms) > 0 {
		t.write(out)
	}
	if more := s.RoomCount - len(s.Rooms); more > 0 {
		fmt.Fprintf(out, "  and %d smaller ones\n", more)
	}
	rooms := "1 room."
	if s.RoomCount != 1 {
		rooms = fmt.Sprintf("%d rooms.", s.RoomCount)
	}
	fmt.Fprintf(out, "%s Records take %s of %s (%.0f %% of --state-bytes), the server's own %s of that; logs take %s.\n",
		rooms, byteText(s.RecordBytes), byteText(s.MaxRecordBytes), 100*float64(s.RecordBytes)/float64(max(s.MaxRecordBytes, 1)), byteText(s.ServerBytes), byteText(s.LogBytes))
}

// removeStored removes what is stored of rooms, all of which have something, and none of which is in use, once somebody has said yes.
func (p process) removeStored(c *removeCommand) error {
	rooms, err := namedRooms(c.Rooms)
	if err != nil {
		return &usageError{err}
	}
	if !c.Yes && !isTerminal(p.stdin) {
		return &usageError{errors.New("nobody can be asked here, and what is removed is gone for good: say --yes")}
	}
	return p.withArchive(&c.Shared, 0, func(ctx context.Context, store api.Store) error {
		stored, err := store.List(ctx, rooms)
		if err == nil {
			err = removable(rooms, stored.Rooms)
		}
		if err != nil || !c.Yes && !p.confirmed(stored.Rooms) {
			return err
		}
		for _, r := range stored.Rooms {
			removed, err := store.Remove(ctx, r.Room)
			if err != nil {
				return fmt.Errorf("%s: %w", printed(r.Room), err)
			}
			fmt.Fprintf(p.stdout, "removed %s: %s of records, %s of log\n", printed(r.Room), byteText(removed.RecordBytes), byteText(removed.LogBytes))
		}
		return nil
	})
}

// namedRooms reads rooms as printed writes them.
func namedRooms(args []string) (rooms []string, err error) {
	for _, arg := range args {
		room := arg
		if strings.HasPrefix(arg, `"`) {
			if room, err = strconv.Unquote(arg); err != nil {
				return nil, fmt.Errorf("%s begins with a quotation mark, and is not a name as parley state ls prints it", arg)
			}
		}
		if !slices.Contains(rooms, room) {
			rooms = append(rooms, room)
		}
	}
	if len(rooms) > api.MaxNamedRooms {
		return nil, fmt.Errorf("%d rooms: give %d at once", len(rooms), api.MaxNamedRooms)
	}
	return rooms, nil
}

// removable tells why not all of these rooms can be removed.
func removable(rooms []string, stored []api.StoredRoom) error {
	for _, room := range rooms {
		i := slices.IndexFunc(stored, func(r api.StoredRoom) bool { return r.Room == room })
		switch {
		case i < 0:
			return fmt.Errorf("nothing is stored of %s, and nothing was removed; parley state ls has all names", printed(room))
		case stored[i].Open:
			return fmt.Errorf("%s: %w", printed(room), wire.NewError(api.CodeInUse, "somebody is in the room or uses its state, or did so shortly before: nothing was removed", nextInUse))
		}
	}
	return nil
}

// confirmed asks whether to remove rooms.
func (p process) confirmed(rooms []api.StoredRoom) bool {
	var t table
	for _, r := range rooms {
		t.add(printed(r.Room), byteText(r.RecordBytes)+" of records,", byteText(r.LogBytes)+" of log")
	}
	t.write(p.stdout)
	fmt.Fprint(p.stdout, "Remove all of this for good? [y/N] ")
	line, _ := bufio.NewReader(p.stdin).ReadString('\n')
	answer := strings.ToLower(strings.TrimSpace(line))
	if answer == "y" || answer == "yes" {
		return true
	}
	fmt.Fprintln(p.stdout, "Nothing was removed.")
	return false
}

// printed is a room's name as it can be shown in a terminal and given to a shell's command: quoted as in Go where some of it cannot be seen.
func printed(room string) string {
	seen := room != "" && room == strings.TrimSpace(room) && room[0] != '"'
	for _, r := range room {
		seen = seen && strconv.IsPrint(r) && r != '\uFFFD'
	}
	if seen {
		return room
	}
	return strconv.Quote(room)
}

// byteText is a number of bytes as people read it.
func byteText(n int64) string {
	size, unit := float64(n), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if size < 1024 {
			break
		}
		size, unit = size/1024, next
	}
	if unit == "B" || size >= 100 {
		return fmt.Sprintf("%.0f %s", size, unit)
	}
	return fmt.Sprintf("%.1f %s", size, unit)
}

// forPeople is an error with what to do about it.
func forPeople(err error) error {
	var told *wire.Error
	if !errors.As(err, &told) {
		return err
	}
	text := fmt.Sprintf("%s (%s)", told.Message, told.Code)
	if told.Next != "" {
		text += "; " + told.Next
	}
	return errors.New(strings.Replace(err.Error(), told.Error(), text, 1))
}

// withArchive gives what is stored in a data folder: of the server that has it, or of the folder itself.
func (p process) withArchive(s *Shared, maxRecords int64, use func(ctx context.Context, store api.Store) error) error {
	ctx, stop := ossignal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if s.Data == "" {
		s.Data = defaultData(p.env)
	}
	shown := fullPath(s.Data)
	if _, err := os.Stat(stateFolder(s.Data)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("nothing is stored in %s: --data names the folder of the server", shown)
	}
	if err := becomeOwner(s); err != nil {
		return fmt.Errorf("use %s as its owner: %w", shown, err)
	}
	folder := stateFolder(s.Data)
	store, err := nats.Start(storeConfig(folder, obs.NewLogger(p.stderr, obs.LogConfig{Level: slog.LevelWarn})))
	switch {
	case errors.Is(err, nats.ErrInUse):
		remote, err := askServer(s, folder, shown)
		if err != nil {
			return err
		}
		return use(ctx, remote)
	case errors.Is(err, nats.ErrDamaged):
		return fmt.Errorf("what is stored in %s is damaged, and was left as it is; what to do: %s: %w", shown, restoreState, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: run this as the user of the server, or as root", err)
	case err != nil:
		return err
	}
	_ = os.Remove(addressFile(folder)) // of a server that was killed
	a, err := openArchive(ctx, store, maxRecords)
	if err == nil {
		err = use(ctx, a)
	}
	return errors.Join(err, store.Close())
}

// openArchive opens the logs of a store as they are.
func openArchive(ctx context.Context, store *nats.Node, maxRecords int64) (*archive, error) {
	a := &archive{maxRecords: maxRecords, log: slog.New(slog.DiscardHandler), turn: make(chan struct{}, 1)}
	for name, log := range map[string]*bus.Log{stateLog: &a.records, roomLog: &a.people, changesLog: &a.changes} {
		found, err := store.Find(ctx, name)
		switch {
		case err != nil:
			return nil, err
		case found != nil:
			*log = found
		default: // no server has got so far
			*log = local.NewLog(0)
		}
	}
	return a, nil
}

// remoteStore is what the server has stored that has the folder.
type remoteStore struct {
	url, token string
	client     *http.Client
}

// askServer finds that server, with a key of its data folder.
func askServer(s *Shared, folder, shown string) (*remoteStore, error) {
	at := serverAt(folder)
	if at == "" {
		return nil, fmt.Errorf("another program uses %s, and is no server that tells where it is: another parley state, or a server that is just starting; try again in a moment", shown)
	}
	keys, err := existingKeys(s)
	if err != nil {
		return nil, err
	}
	token, err := auth.SignOperator(time.Now(), keys.first, operatorTime, keys.keys)
	if err != nil {
		return nil, err
	}
	return &remoteStore{localURL(at), token, &http.Client{
		Timeout: askTime,
		// The address is that of the server that has the folder now: nobody else can listen there.
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}}, nil
}

// existingKeys are those of --keys or of the data folder: none are made, as a server that runs has others then.
func existingKeys(s *Shared) (keyring, error) {
	path := s.keysPath()
	if path == "" {
		return loadKeys(s)
	}
	k, err := readKeys(path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, fmt.Errorf("the server's keys are not in its data folder: give this command its --keys, by PARLEY_KEYS or PARLEY_KEYS_FILE")
	}
	return k, err
}

// List implements api.Store.
func (r *remoteStore) List(ctx context.Context, rooms []string) (stored api.Stored, err error) {
	return stored, r.ask(ctx, http.MethodGet, rooms, &stored)
}

// Remove implements api.Store.
func (r *remoteStore) Remove(ctx context.Context, room string) (removed api.StoredRoom, err error) {
	return removed, r.ask(ctx, http.MethodDelete, []string{room}, &removed)
}

func (r *remoteStore) ask(ctx context.Context, method string, rooms []string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, r.url+api.StoredPath+"?"+url.Values{"room": rooms}.Encode(), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+r.token)
	request.Header.Set("X-Forwarded-Proto", "https") // within this machine; a server that trusts proxies here would ask for TLS
	response, err := r.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask the server that has the data folder: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
			return fmt.Errorf("read the answer of the server: %w", err)
		}
		return nil
	}
	var problem struct {
		Code   wire.Code
		Detail string
		Next   string
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, problemBytes)).Decode(&problem); err != nil || problem.Detail == "" {
		return fmt.Errorf("the server that has the data folder answers %s: is it an older version?", response.Status)
	}
	if problem.Code == wire.CodeUnauthorized {
		problem.Next = "give this command the --keys of the server, by PARLEY_KEYS or PARLEY_KEYS_FILE"
	}
	return wire.NewError(problem.Code, problem.Detail, problem.Next)
}
