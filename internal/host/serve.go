package host

func (p process) serve(cfg *Config) error { return nil }
