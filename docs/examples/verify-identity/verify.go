package identity

import (
	"errors"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

func Verifier(jwksURL, audience string) (func(assertion string) (jwt.MapClaims, error), error) {
	keys, err := keyfunc.NewDefault([]string{jwksURL}) // keeps what it fetched, and looks again for a new `kid`
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(jwt.WithIssuer("sekisho"), jwt.WithAudience(audience), jwt.WithExpirationRequired(),
		jwt.WithValidMethods([]string{"EdDSA", "ES256"}), jwt.WithLeeway(5*time.Second))
	return func(assertion string) (jwt.MapClaims, error) {
		token, err := parser.Parse(assertion, keys.Keyfunc)
		if err != nil {
			return nil, err
		}
		if token.Header["typ"] != "sekisho-identity+jwt" {
			return nil, errors.New("this is no assertion")
		}
		return token.Claims.(jwt.MapClaims), nil
	}, nil
}
