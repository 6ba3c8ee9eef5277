package probe

// Resolver asks the configured resolvers.
type Resolver struct{}
