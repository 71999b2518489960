package codec

// Limits of what is told apart, and of what is read.
const (
	// SpatialLayers and TemporalLayers are how many of each one encoding is told apart into. VP9's and temporal ones above count as
	// the highest; a dependency descriptor's structure with more spatial ones is not believed.
	SpatialLayers  = 4
	TemporalLayers = 4

	maxTemplates = 64      // of a template dependency structure: ids have six bits
	maxSPS       = 128     // bytes of a sequence parameter set that are read: the size stands at the beginning
	maxPicture   = 1 << 14 // pixels of a side; what is larger is not believed
)
