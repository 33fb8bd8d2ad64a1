module gatebook.invalid/ledger

go 1.25.0

// Not older: up to v0.39.0 tlog.TileHashReader left some tiles unchecked against the tile above (two exchanged tiles
// of a ledger passed).
require golang.org/x/mod v0.40.0
