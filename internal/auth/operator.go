package auth

import (
	"fmt"
	"time"
)

// OperatorAudience is the aud claim of an operator's token: of who may list and remove what a server has stored of rooms. No participant's token may have one, and no operator's
// token says who takes part in what, so neither is ever taken for the other.
const OperatorAudience = "parley/operator"

// VerifyOperator checks an operator's token against keys. Errors are those of [Verify].
func VerifyOperator(now time.Time, token string, keys Keys) error {
	p, _, _, err := open(now, token, keys)
	switch {
	case err != nil:
		return err
	case p.Audience != any(OperatorAudience):
		return refuse("the token is not an operator's: its aud claim is not " + OperatorAudience)
	case p.Video != nil || p.Subject != "":
		return refuse("the token is an operator's, and has a video or sub claim as well: make one token for each")
	}
	return nil
}

// SignOperator makes an operator's token with the key of that name, valid for so long.
func SignOperator(now time.Time, key string, lifetime time.Duration, keys Keys) (string, error) {
	secret, ok := keys[key]
	if !ok {
		return "", fmt.Errorf("sign an operator's token: no key %q", key)
	}
	p := payload{Issuer: key, Audience: OperatorAudience, Expires: seconds(now.Add(lifetime)), IssuedAt: seconds(now)}
	token, err := p.sign(secret)
	if err == nil {
		err = VerifyOperator(now, token, keys)
	}
	if err != nil {
		return "", fmt.Errorf("sign an operator's token: %w", err)
	}
	return token, nil
}
