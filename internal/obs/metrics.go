package obs

import (
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Prefix begins the name of every metric that is Parley's own; those of the Go runtime and of the process keep their names.
const Prefix = "parley_"

// Metrics is what /metrics shows. Packages do not push into it: whoever owns a number reports it when it is asked, by a
// function given to Collect. Names follow Prometheus: base units (seconds, bytes), _total for counters, never a room or a
// participant as label.
type Metrics struct {
	// static after construction
	registry *prometheus.Registry
}

// NewMetrics returns the metrics of the runtime and the process, and parley_build_info.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.Collect(func(s *Samples) {
		s.Gauge("build_info", "What this server was built from; always 1.", 1, "version", version, "go", runtime.Version())
	})
	return m
}

// Collect calls report for every scrape, from the scraper's goroutine and possibly from several at once.
func (m *Metrics) Collect(report func(*Samples)) { m.registry.MustRegister(source(report)) }

// Handler serves the metrics in the formats that Prometheus asks for.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: MaxScrapes})
}

// Gatherer is for tests: it lints what Handler would serve.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Samples takes the samples of one scrape. Names are given without Prefix; labels are pairs of name and value.
type Samples struct{ out chan<- prometheus.Metric }

// Counter reports what only grows, under a name that ends in _total.
func (s *Samples) Counter(name, help string, value float64, labels ...string) {
	s.add(prometheus.CounterValue, name, help, value, labels)
}

// Gauge reports what goes up and down.
func (s *Samples) Gauge(name, help string, value float64, labels ...string) {
	s.add(prometheus.GaugeValue, name, help, value, labels)
}

func (s *Samples) add(t prometheus.ValueType, name, help string, value float64, labels []string) {
	names, values := make([]string, 0, len(labels)/2), make([]string, 0, len(labels)/2)
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	s.out <- prometheus.MustNewConstMetric(prometheus.NewDesc(Prefix+name, help, names, nil), t, value, values...)
}

// source makes a report function a prometheus.Collector. It describes nothing beforehand, which Prometheus calls unchecked:
// what it reports is checked when it is scraped.
type source func(*Samples)

func (source) Describe(chan<- *prometheus.Desc) {}

func (f source) Collect(out chan<- prometheus.Metric) { f(&Samples{out}) }
