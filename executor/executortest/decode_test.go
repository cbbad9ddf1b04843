package executortest

import (
	"testing"

	"github.com/kubefaas/caddy-kubefaas/executor"
)

func FuzzDecode(f *testing.F) {
	names := []string{executor.CallAddress, executor.CallTap, executor.CallUntap, executor.CallCapacity, executor.CallHealth}
	for _, body := range []string{
		"", "null", "[]", "[null]", "{}", `{"name":"hello","namespace":"default"}`,
		`{"metadata":null,"name":"hello"}`, `{"metadata":{"name":"hello","namespace":"default"},"spec":{"functionTimeout":60}}`,
		`[{"FnMetadata":{"name":"hello"},"ServiceUrl":"http://a:1"}]`, `{"function":{"metadata":{}},"observedReadyEndpoints":1e99}`,
	} {
		for i := range names {
			f.Add(uint8(i), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, i uint8, body []byte) {
		c := Call{Name: names[int(i)%len(names)], Raw: body}
		err := decode(&c)
		about := c.Name == executor.CallAddress || c.Name == executor.CallCapacity
		if err == nil && about && c.Ref.Validate() != nil {
			t.Errorf("decode(%s %q) = %+v without an error and without a function", c.Name, body, c.Ref)
		}
	})
}
