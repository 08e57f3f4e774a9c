package cli

import (
	"context"

	"github.com/edgelog/edgelog/internal/api"
)

const scanHelp = ``

func (a *app) scan(ctx context.Context, args []string) error { _ = ctx; _ = args; _ = api.SchemaVersion; return nil }
