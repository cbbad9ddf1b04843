package kubefaas

import (
	"encoding/json"
	"fmt"

	"github.com/dustin/go-humanize"
)

// Size is a number of bytes. In JSON it is a number, or text such as "64MiB"
// as go-humanize reads it.
type Size int64

// UnmarshalJSON reads a number of bytes or text with a unit.
func (s *Size) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var text string
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		n, err := parseSize(text)
		*s = n
		return err
	}
	return json.Unmarshal(b, (*int64)(s))
}

func parseSize(text string) (Size, error) {
	n, err := humanize.ParseBytes(text)
	if err != nil {
		return 0, fmt.Errorf("bad size %q: %w", text, err)
	}
	if n > 1<<62 {
		return 0, fmt.Errorf("bad size %q: too large", text)
	}
	return Size(n), nil
}
