package kubefaas

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// AnalyticsConfig says where and how often to report the number of calls.
type AnalyticsConfig struct {
	// Where the report is sent, by POST.
	URL string `json:"url"`

	// How often. Default: `24h`.
	Interval caddy.Duration `json:"interval,omitempty"`
}

func (c *AnalyticsConfig) validate() error {
	u, err := url.Parse(c.URL)
	if err != nil {
		return fmt.Errorf("analytics: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("analytics: %q is not an http or https URL", c.URL)
	}
	if c.Interval < 0 {
		return fmt.Errorf("analytics: interval: %s is negative", time.Duration(c.Interval))
	}
	return nil
}

// AnalyticsData is one report.
type AnalyticsData struct {
	// ID is eight random characters, the same in every report of one process.
	ID string
	// FunctionCallCount is the number of calls since the process started.
	FunctionCallCount uint64
}

// calls counts every call of a function since the process started. It lives
// outside of all configurations, so that a reload does not set it back.
var calls atomic.Uint64

// analyticsID tells one process's reports from another's.
var analyticsID = sync.OnceValue(func() string { return rand.Text()[:8] })

// lastReport is when the last report was sent, or the first configuration
// with a URL was started, in Unix nanoseconds. It lives outside of all
// configurations: frequent reloads must not put the next report off for ever.
var lastReport atomic.Int64

// analyticsTimeout bounds one report.
const analyticsTimeout = 10 * time.Second

// Analytics reports the number of calls every so often.
type Analytics struct {
	url      string
	interval time.Duration
	count    *atomic.Uint64
	client   *http.Client
	logger   *zap.Logger
	cancel   context.CancelFunc
	done     chan struct{}
}

// MakeAnalytics makes a report of count to a URL every interval. Start begins
// it; Stop ends it.
func MakeAnalytics(url string, interval time.Duration, count *atomic.Uint64, logger *zap.Logger) *Analytics {
	return &Analytics{
		url: url, interval: interval, count: count, logger: logger,
		client: &http.Client{Timeout: analyticsTimeout},
	}
}

// Start begins to report, one interval from now.
func (a *Analytics) Start() {
	var ctx context.Context
	ctx, a.cancel = context.WithCancel(context.Background())
	a.done = make(chan struct{})
	go a.run(ctx)
}

// Stop ends the reports and waits for one that is being sent to be given up.
func (a *Analytics) Stop() {
	a.cancel()
	<-a.done
	a.client.CloseIdleConnections()
}

func (a *Analytics) run(ctx context.Context) {
	defer close(a.done)
	lastReport.CompareAndSwap(0, time.Now().UnixNano())
	timer := time.NewTimer(a.untilNext())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			lastReport.Store(time.Now().UnixNano())
			// A report that fails is no trouble of anybody's.
			if err := a.send(ctx); err != nil {
				a.logger.Debug("the analytics report was not taken", zap.Error(err))
			}
			timer.Reset(a.untilNext())
		}
	}
}

// untilNext is the time until the next report is due.
func (a *Analytics) untilNext() time.Duration {
	return max(0, time.Until(time.Unix(0, lastReport.Load()).Add(a.interval)))
}

func (a *Analytics) send(ctx context.Context) error {
	body, err := json.Marshal(AnalyticsData{ID: analyticsID(), FunctionCallCount: a.count.Load()})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.client.Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return errors.New(resp.Status)
	}
	return nil
}
