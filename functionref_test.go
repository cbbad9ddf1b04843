package kubefaas

import (
	"encoding/json"
	"testing"
)

func TestFunctionRefInJSON(t *testing.T) {
	for text, want := range map[string]FunctionRef{
		`{"name": "hello"}`:                      {Name: "hello"},
		`{"namespace": "prod", "name": "hello"}`: {Namespace: "prod", Name: "hello"},
		`"hello"`:                                {Name: "hello"},
		`"prod/hello"`:                           {Namespace: "prod", Name: "hello"},
		`"{env.NS}/{http.request.uri.path.0}"`:   {Namespace: "{env.NS}", Name: "{http.request.uri.path.0}"},
		`"{file./run/name}"`:                     {Name: "{file./run/name}"},
	} {
		var got FunctionRef
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{`{"nmae": "hello"}`, `5`, `["hello"]`, `{"name": 5}`} {
		var got FunctionRef
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s: got %+v, want an error", text, got)
		}
	}
}

func TestFunctionRefKnowsWhetherItDependsOnTheRequest(t *testing.T) {
	for text, want := range map[string]bool{"hello": false, "prod/hello": false, "{path.0}": true, "{env.NS}/hello": true} {
		if got := splitRef(text).hasPlaceholder(); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}
