package permit

// Limits of rules and of what an expression may take.
const (
	// MaxRules of all scopes together.
	MaxRules = 4096
	// MaxNodes of one expression.
	MaxNodes = 1000
	// MaxMemory of one evaluation, in the units of expr: elements of what it makes.
	MaxMemory = 100_000
	// MaxLookups of other records in one evaluation.
	MaxLookups = 8
)
