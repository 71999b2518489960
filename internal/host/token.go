package host

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/wire"
)

type tokenCommand struct {
	Shared `embed:""`

	Room     string        `required:"" help:"Room that the token opens."`
	Name     string        `help:"Name that others see."`
	Identity string        `help:"Who it is, unique in the room. Default: made from the name."`
	Metadata string        `help:"Text that applications attach to the participant."`
	TTL      time.Duration `name:"ttl" default:"6h" help:"How long the token can be used; at most 24h."`
	KeyName  string        `name:"key-name" help:"Key pair that signs. Default: the first."`
	Admin    bool          `help:"May remove others, and rule what they may do."`
	Hidden   bool          `help:"Is not shown to others."`

	NoPublish   bool `name:"no-publish" help:"May not send sound or pictures."`
	NoSubscribe bool `name:"no-subscribe" help:"May not receive them."`
	NoData      bool `name:"no-data" help:"May not send data messages."`
	UpdateOwn   bool `name:"update-own" help:"May change the own name and metadata."`
}

// token prints a token and nothing else, so that it fits into $(…).
func (p process) token(c *tokenCommand) error {
	if c.Data == "" {
		c.Data = defaultData(p.env)
	}
	k, err := loadKeys(&c.Shared)
	if err != nil {
		return err
	}
	if k.made {
		fmt.Fprintf(p.stderr, "parley: made new keys in %s; a server with another --data or --keys will refuse this token\n", c.keysPath())
	}
	claims, err := c.claims(time.Now(), k.first, rand.Reader)
	if err != nil {
		return &usageError{err}
	}
	token, err := auth.Sign(time.Now(), claims, k.keys)
	if err != nil {
		return &usageError{err}
	}
	fmt.Fprintln(p.stdout, token)
	return nil
}

func (c *tokenCommand) claims(now time.Time, key string, random io.Reader) (auth.Claims, error) {
	if c.TTL <= 0 || c.TTL > auth.MaxLifetime {
		return auth.Claims{}, fmt.Errorf("--ttl %v: give a duration up to %v", c.TTL, auth.MaxLifetime)
	}
	identity := c.Identity
	if identity == "" {
		var b [4]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return auth.Claims{}, err
		}
		identity = fmt.Sprintf("%s-%x", cmp.Or(slug(c.Name), "guest"), b)
	}
	return auth.Claims{
		Key: cmp.Or(c.KeyName, key), Identity: identity, Name: c.Name, Metadata: c.Metadata, Room: c.Room,
		Grants: wire.Grants{
			Publish: !c.NoPublish, Subscribe: !c.NoSubscribe, PublishData: !c.NoData, Admin: c.Admin, Hidden: c.Hidden,
		},
		UpdateOwn: c.UpdateOwn,
		Expires:   now.Add(c.TTL),
	}, nil
}

// slug is a name in small letters, digits and dashes, 32 at most.
func slug(name string) string {
	s := strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}), "-")
	return s[:min(len(s), 32)]
}
