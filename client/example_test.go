package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/parley-rtc/parley/client"
)

// start runs a server for an example, on loopback.
func start() (address string, stop func()) {
	h, err := newHouse()
	if err != nil {
		log.Fatal(err)
	}
	s := httptest.NewServer(h)
	return s.URL, func() {
		h.close()
		s.Close()
	}
}

func Example() {
	address, stop := start()
	defer stop()
	ctx := context.Background()

	room, err := client.Join(ctx, address, client.Options{Room: "tea", Name: "Ann"})
	if err != nil {
		log.Fatal(err)
	}
	defer room.Leave()

	board, err := room.State().Record(ctx, "board", client.RecordOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if err := board.Set(ctx, "shapes[0].x", 17); err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(board.JSON("shapes[0]")), "in version", board.Version())
	// Output: {"x":17} in version 1
}

// Two clients count in one record, and neither loses what the other counts.
func ExampleRecord_Update() {
	address, stop := start()
	defer stop()
	ctx := context.Background()
	count := func(now json.RawMessage) (any, error) {
		var c struct{ N int }
		if now != nil {
			if err := json.Unmarshal(now, &c); err != nil {
				return nil, err
			}
		}
		c.N++
		return c, nil
	}
	for _, identity := range []string{"ann", "bob"} {
		room, err := client.Join(ctx, address, client.Options{Room: "tea", Identity: identity})
		if err != nil {
			log.Fatal(err)
		}
		defer room.Leave()
		counter, err := room.State().Record(ctx, "counter", client.RecordOptions{})
		if err != nil {
			log.Fatal(err)
		}
		if err := counter.Update(ctx, count); err != nil {
			log.Fatal(err)
		}
		fmt.Println(identity, "sees", string(counter.JSON("")))
	}
	// Output:
	// ann sees {"N":1}
	// bob sees {"N":2}
}

func ExampleState_Provide() {
	address, stop := start()
	defer stop()
	ctx := context.Background()
	join := func(identity string) *client.Room {
		room, err := client.Join(ctx, address, client.Options{Room: "tea", Identity: identity})
		if err != nil {
			log.Fatal(err)
		}
		return room
	}
	ann, bob := join("ann"), join("bob")
	defer ann.Leave()
	defer bob.Leave()

	_, err := bob.State().Provide(ctx, "greet", client.Provider{
		Answer: func(_ context.Context, c client.Call) (any, error) { return "hello, " + c.From, nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	answer, err := ann.State().Request(ctx, "greet", nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(answer))
	// Output: "hello, ann"
}

func ExampleState_List() {
	address, stop := start()
	defer stop()
	ctx := context.Background()
	room, err := client.Join(ctx, address, client.Options{Room: "tea"})
	if err != nil {
		log.Fatal(err)
	}
	defer room.Leave()
	hands, err := room.State().List(ctx, "hands", client.RecordOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, identity := range []string{"ann", "bob", "carl"} {
		if err := hands.Add(ctx, identity); err != nil {
			log.Fatal(err)
		}
	}
	if err := hands.Remove(ctx, "bob", 0); err != nil {
		log.Fatal(err)
	}
	fmt.Println(hands.Entries())
	// Output: [ann carl]
}
