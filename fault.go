package vedette

// Fault is what a check of a publication found.
type Fault struct {
	Constituent string `json:"constituent,omitempty"` // whose edition
	Where       string `json:"where"`
	What        string `json:"what"`
	Stop        bool   `json:"stop,omitempty"` // the publication must not go out
}
