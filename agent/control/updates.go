package control

import (
	"context"
	"net/http"

	"github.com/edgelog/edgelog/internal/api"
)

// Updates is the box's part in fleet updates. Errors wrap the sentinels of this package.
type Updates interface {
	// Update answers from small files and memory.
	Update() *api.Update
	// Order carries out what an operator asks for; by names who asked.
	Order(ctx context.Context, r *api.UpdateRequest, by string) (*api.Update, error)
}

func (s *Server) updateRoutes(ops *http.ServeMux) {
	if s.o.Updates == nil {
		return
	}
	ops.HandleFunc("POST /v1/update", func(w http.ResponseWriter, r *http.Request) {
		var req api.UpdateRequest
		if err := request(w, r, &req); err != nil {
			problem(w, err)
			return
		}
		by := who(r)
		out, err := s.o.Updates.Order(r.Context(), &req, by)
		if err != nil {
			s.log.Warn("order for updates refused", "op", req.Op, "by", by, "err", err)
			problem(w, err)
			return
		}
		s.log.Info("order for updates", "op", req.Op, "why", req.Why, "by", by)
		answer(w, out)
	})
}
