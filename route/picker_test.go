package route

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// weighted are functions f0, f1 … of the given weights.
func weighted(weights ...int) []Weighted {
	var functions []Weighted
	for i, w := range weights {
		functions = append(functions, Weighted{function.Ref{Namespace: "default", Name: fmt.Sprintf("f%d", i)}, w})
	}
	return functions
}

func mustPicker(t testing.TB, functions []Weighted) *Picker {
	t.Helper()
	p, err := NewPicker(functions)
	if err != nil {
		t.Fatalf("NewPicker(%v) = %v; want a picker", functions, err)
	}
	return p
}

var splits = map[string][]int{
	"one":                  {1},
	"halves":               {1, 1},
	"a canary":             {90, 10},
	"a small canary":       {999, 1},
	"one is off":           {0, 100},
	"the last is off":      {70, 30, 0},
	"two off in a row":     {50, 0, 0, 50},
	"four":                 {10, 20, 30, 40},
	"seven":                {1, 2, 3, 4, 5, 6, 7},
	"off at either end":    {0, 3, 1, 0},
	"weights of any size":  {1 << 40, 3 << 40},
	"one among many zeros": {0, 0, 0, 0, 1, 0, 0},
}

// checkShares compares counts with weights: to within 0.2 percentage points.
func checkShares(t *testing.T, weights, counts []int, picks int) {
	t.Helper()
	sum := 0
	for _, w := range weights {
		sum += w
	}
	for i, n := range counts {
		got, want := float64(n)*100/float64(picks), float64(weights[i])*100/float64(sum)
		if math.Abs(got-want) > 0.2 || weights[i] == 0 && n > 0 {
			t.Errorf("function %d of weights %v got %.3f %%, want %.3f %%", i, weights, got, want)
		}
	}
}

func TestPickSharesByWeight(t *testing.T) {
	const picks = 1_000_000
	for name, weights := range splits {
		t.Run(name, func(t *testing.T) {
			p := mustPicker(t, weighted(weights...))
			random := rand.New(rand.NewPCG(1, 2))
			counts := make([]int, len(weights))
			for range picks {
				counts[p.Pick(random.Uint64())]++
			}
			checkShares(t, weights, counts, picks)
		})
	}
}

func TestPickAtTheEdges(t *testing.T) {
	for _, c := range []struct {
		weights []int
		rnd     uint64
		want    int
	}{
		{[]int{0, 5, 5, 0}, 0, 1},
		{[]int{0, 5, 5, 0}, math.MaxUint64, 2},
		{[]int{0, 5, 5, 0}, math.MaxUint64 / 2, 1},
		{[]int{0, 5, 5, 0}, math.MaxUint64/2 + 1, 2},
		{[]int{math.MaxInt64 - 1, 1}, math.MaxUint64, 1},
		{[]int{math.MaxInt64, 0}, math.MaxUint64, 0},
	} {
		if got := mustPicker(t, weighted(c.weights...)).Pick(c.rnd); got != c.want {
			t.Errorf("Pick(%d) of weights %v = %d, want %d", c.rnd, c.weights, got, c.want)
		}
	}
}

func TestPickKeySharesByWeight(t *testing.T) {
	keys := make([]string, 1_000_000)
	for i := range keys {
		keys[i] = "user-" + strconv.Itoa(i)
	}
	for _, name := range []string{"halves", "a canary", "a small canary", "two off in a row", "four"} {
		t.Run(name, func(t *testing.T) {
			weights := splits[name]
			p := mustPicker(t, weighted(weights...))
			counts := make([]int, len(weights))
			for _, key := range keys {
				counts[p.PickKey(key)]++
			}
			checkShares(t, weights, counts, len(keys))
		})
	}
}

// Raising one weight step by step from nothing to everything, each key goes over
// once at most, and none comes back.
func TestPickKeyIsMonotone(t *testing.T) {
	const keys = 500
	for others := 1; others <= 4; others++ {
		for raised := range others + 1 {
			t.Run(fmt.Sprintf("function %d of %d", raised, others+1), func(t *testing.T) {
				weights := make([]int, others+1)
				for i := range weights {
					weights[i] = 100
				}
				was := make([]int, keys)
				for weight := 0; weight <= 100; weight++ {
					weights[raised] = weight
					p := mustPicker(t, weighted(weights...))
					for k := range keys {
						now := p.PickKey(strconv.Itoa(k))
						if weight > 0 && now != was[k] && now != raised {
							t.Fatalf("weight %d→%d: key %d moved from %d to %d; want it to stay or go to %d", weight-1, weight, k, was[k], now, raised)
						}
						if weight == 0 && now == raised {
							t.Fatalf("key %d went to %d, whose weight is 0", k, raised)
						}
						was[k] = now
					}
				}
			})
		}
	}
}

// A canary goes from 0:100 to 100:0, as both weights move.
func TestPickKeyHasNoReversalInARollout(t *testing.T) {
	const keys = 2_000
	var moves [keys]int
	var was [keys]int
	for percent := 0; percent <= 100; percent++ {
		p := mustPicker(t, weighted(100-percent, percent))
		for k := range keys {
			now := p.PickKey(fmt.Sprintf("session-%d", k))
			if now != was[k] {
				moves[k]++
			}
			was[k] = now
		}
	}
	for k := range keys {
		if moves[k] != 1 || was[k] != 1 {
			t.Fatalf("key %d moved %d times and is with %d; want one move, to 1", k, moves[k], was[k])
		}
	}
}

func TestPickKeyDependsOnNeitherOrderNorProcess(t *testing.T) {
	functions := weighted(10, 20, 30, 40)
	other := slices.Clone(functions)
	slices.Reverse(other)
	p, q := mustPicker(t, functions), mustPicker(t, other)
	for i := range 1_000 {
		key := fmt.Sprint(i)
		if a, b := functions[p.PickKey(key)], other[q.PickKey(key)]; a != b {
			t.Fatalf("key %s is with %v, and with %v if the functions come in another order", key, a.Ref, b.Ref)
		}
	}
	// A change here moves every user of a running canary: it is not made lightly.
	var got []int
	for _, key := range []string{"", "a", "b", "alice", "bob", "192.0.2.1"} {
		got = append(got, p.PickKey(key))
	}
	if want := []int{2, 2, 1, 1, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("the keys went to %v, want %v as ever", got, want)
	}
}

func TestNewPickerRefuses(t *testing.T) {
	twice := append(weighted(1), weighted(1)...)
	for why, functions := range map[string][]Weighted{
		"no function":           nil,
		"weights that sum to 0": weighted(0, 0),
		"a negative weight":     weighted(2, -1),
		"a function twice":      twice,
		"an empty name":         {{function.Ref{Namespace: "default"}, 1}},
		"an empty namespace":    {{function.Ref{Name: "f"}, 1}},
		"a sum past 63 bits":    weighted(math.MaxInt64, 1),
	} {
		if p, err := NewPicker(functions); err == nil {
			t.Errorf("%s: NewPicker = %v; want an error", why, p)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	p := mustPicker(b, weighted(90, 10))
	random := rand.New(rand.NewPCG(1, 2))
	b.Run("weight", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.Pick(random.Uint64())
		}
	})
	b.Run("key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.PickKey("5c8b6a3e-5d8a-4a4a-9d3a-1f2e3d4c5b6a")
		}
	})
}
