package obs

// MaxScrapes is how many scrapes of /metrics run at once; more are answered 503.
const MaxScrapes = 4
