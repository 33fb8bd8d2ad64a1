// SPDX-License-Identifier: Apache-2.0

// Steps of pgx: batches, cached statements, the simple protocol, COPY, notifications, large objects.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var outcomes = map[string]any{}

func step(name string, work func() (any, error)) {
	told, err := work()
	var pg *pgconn.PgError
	switch {
	case err == nil:
		outcomes[name] = told
	case errors.As(err, &pg):
		outcomes[name] = []any{pg.Severity, pg.Code, pg.Message, pg.Detail, pg.Position, pg.Where, pg.Routine}
	default:
		outcomes[name] = []any{"error", err.Error()}
	}
}

func rows(ctx context.Context, c *pgx.Conn, text string, arguments ...any) (any, error) {
	found, err := c.Query(ctx, text, arguments...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	all := []any{}
	for found.Next() {
		values, err := found.Values()
		if err != nil {
			return nil, err
		}
		all = append(all, fmt.Sprintf("%v", values))
	}
	return []any{all, found.CommandTag().String()}, found.Err()
}

func batch(ctx context.Context, c *pgx.Conn, texts ...string) (any, error) {
	queue := &pgx.Batch{}
	for _, text := range texts {
		queue.Queue(text)
	}
	results := c.SendBatch(ctx, queue)
	defer results.Close()
	tags := []string{}
	for range texts {
		tag, err := results.Exec()
		if err != nil {
			return tags, err
		}
		tags = append(tags, tag.String())
	}
	return tags, nil
}

func copyRows(ctx context.Context, c *pgx.Conn) (any, error) {
	if _, err := c.Exec(ctx, "CREATE TEMP TABLE copied (id int, note text)"); err != nil {
		return nil, err
	}
	source := pgx.CopyFromSlice(3000, func(n int) ([]any, error) { return []any{n, fmt.Sprint("note ", n)}, nil })
	count, err := c.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"id", "note"}, source)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	tag, err := c.PgConn().CopyTo(ctx, &out, "COPY (SELECT * FROM copied LIMIT 3) TO STDOUT")
	return []any{count, out.String(), tag.String()}, err
}

func transaction(ctx context.Context, c *pgx.Conn) (any, error) {
	tx, err := c.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, "CREATE TABLE kept (a int)"); err != nil {
		return nil, err
	}
	inner, err := tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	_, failed := inner.Exec(ctx, "SELECT 1/0")
	if err := inner.Rollback(ctx); err != nil {
		return nil, err
	}
	var alive string
	err = tx.QueryRow(ctx, "SELECT 'alive'").Scan(&alive)
	return []any{failed.Error(), alive, string(c.PgConn().TxStatus())}, err
}

func listen(ctx context.Context, c *pgx.Conn) (any, error) {
	if _, err := c.Exec(ctx, "LISTEN drivers"); err != nil {
		return nil, err
	}
	if _, err := c.Exec(ctx, "NOTIFY drivers, 'word'"); err != nil {
		return nil, err
	}
	heard, err := c.WaitForNotification(ctx)
	if err != nil {
		return nil, err
	}
	return []string{heard.Channel, heard.Payload}, nil
}

func largeObject(ctx context.Context, c *pgx.Conn) (any, error) {
	tx, err := c.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(ctx)
	things := tx.LargeObjects()
	id, err := things.Create(ctx, 0)
	if err != nil {
		return nil, err
	}
	thing, err := things.Open(ctx, id, pgx.LargeObjectModeWrite|pgx.LargeObjectModeRead)
	if err != nil {
		return nil, err
	}
	written, err := thing.Write(bytes.Repeat([]byte("x"), 100_000))
	if err != nil {
		return nil, err
	}
	place, err := thing.Seek(5, 0)
	return []any{written, place}, err
}

func cancelled(ctx context.Context, c *pgx.Conn) (any, error) {
	short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	_, err := c.Exec(short, "SELECT pg_sleep(10)")
	return []any{err != nil, c.IsClosed()}, nil
}

func main() {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	c, err := pgx.Connect(ctx, "")
	if err != nil {
		panic(err)
	}
	ask := func(text string, arguments ...any) func() (any, error) {
		return func() (any, error) { return rows(ctx, c, text, arguments...) }
	}
	outcomes["status"] = []string{c.PgConn().ParameterStatus("server_version"), c.PgConn().ParameterStatus("TimeZone")}
	step("select", ask("SELECT 1, 'é', NULL::int"))
	step("values", ask("SELECT $1::int, $2::text, $3::bytea, $4::float8, $5::int[]", 1, "x", []byte{0, 255}, 2.5, []int32{1, 2}))
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		step("mode "+mode.String(), ask("SELECT $1::int + 1", mode, 41))
	}
	step("batch", func() (any, error) { return batch(ctx, c, "SELECT 1", "CREATE TABLE b (a int)", "INSERT INTO b SELECT 1") })
	step("batch that fails", func() (any, error) { return batch(ctx, c, "INSERT INTO b SELECT 2", "SELECT 1/0", "SELECT 3") })
	step("after it", ask("SELECT * FROM b"))
	step("several", func() (any, error) {
		found, err := c.PgConn().Exec(ctx, "SELECT 1; SELECT 2; SELECT 3/0; SELECT 4").ReadAll()
		return len(found), err
	})
	step("copy", func() (any, error) { return copyRows(ctx, c) })
	step("copy that fails", func() (any, error) {
		tag, err := c.PgConn().CopyFrom(ctx, strings.NewReader("x\ty\n"), "COPY copied FROM STDIN")
		return tag.String(), err
	})
	step("transaction", func() (any, error) { return transaction(ctx, c) })
	step("listen", func() (any, error) { return listen(ctx, c) })
	step("large object", func() (any, error) { return largeObject(ctx, c) })
	step("pipeline", func() (any, error) {
		pipeline := c.PgConn().StartPipeline(ctx)
		pipeline.SendPrepare("p", "SELECT $1::int", nil)
		pipeline.SendQueryPrepared("p", [][]byte{[]byte("7")}, nil, nil)
		pipeline.SendDeallocate("p")
		if err := pipeline.Sync(); err != nil {
			return nil, err
		}
		kinds := []string{}
		for range 4 {
			result, err := pipeline.GetResults()
			if err != nil {
				return kinds, err
			}
			if reader, is := result.(*pgconn.ResultReader); is {
				reader.Close()
			}
			kinds = append(kinds, fmt.Sprintf("%T", result))
		}
		return kinds, pipeline.Close()
	})
	step("syntax error", ask("SELECT 1 FRM x"))
	step("no table", ask("SELECT * FROM nowhere WHERE a = $1", 1))
	step("large", ask("SELECT length($1)", strings.Repeat("x", 2_000_000)))
	step("deallocate", func() (any, error) { return nil, c.DeallocateAll(ctx) })
	step("terminated", ask("SELECT pg_terminate_backend(pg_backend_pid())"))
	other, err := pgx.Connect(ctx, "")
	if err != nil {
		panic(err)
	}
	step("cancelled", func() (any, error) { return cancelled(ctx, other) })
	told, err := json.Marshal(outcomes)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(told))
}
