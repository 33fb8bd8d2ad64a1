// SPDX-License-Identifier: Apache-2.0
// Steps of node-postgres: simple and prepared queries, a pool, cursors, COPY, notifications.
'use strict'

const fs = require('fs')
const { pipeline } = require('stream/promises')
const { Readable } = require('stream')
const { Client, Pool } = require('pg')
const Cursor = require('pg-cursor')
const { from, to } = require('pg-copy-streams')

const ssl = { ca: fs.readFileSync(process.env.PGSSLROOTCERT) }
delete process.env.PGSSLMODE // the object above says it

const outcomes = {}

async function step(name, work) {
  try {
    outcomes[name] = await work()
  } catch (error) {
    outcomes[name] = [error.code, error.message, error.position, error.detail, error.severity]
  }
}

async function connect() {
  const client = new Client({ ssl })
  client.on('error', () => {})
  await client.connect()
  return client
}

async function transaction(c) {
  await c.query('BEGIN')
  await c.query('CREATE TABLE kept (a int)')
  const told = []
  for (const text of ['SELECT nothing', 'SELECT 1']) {
    await c.query(text).catch((error) => told.push(error.code))
  }
  await c.query('ROLLBACK')
  return [told, (await c.query("SELECT to_regclass('kept')")).rows]
}

async function pooled() {
  const pool = new Pool({ ssl, max: 5 })
  const told = await Promise.all([...Array(40).keys()].map((n) => pool.query('SELECT $1::int AS n', [n])))
  await pool.end()
  return told.map((result) => result.rows[0].n)
}

async function cursor(c) {
  const walk = c.query(new Cursor('SELECT generate_series(1, 100) AS n'))
  const told = [(await walk.read(3)).map((row) => row.n), (await walk.read(10)).length]
  await walk.close()
  return told
}

async function copy(c) {
  await c.query('CREATE TEMP TABLE copied (id int, note text)')
  const lines = [...Array(3000).keys()].map((n) => `${n}\tnote ${n}\n`)
  await pipeline(Readable.from(lines), c.query(from('COPY copied FROM STDIN')))
  let out = ''
  for await (const chunk of c.query(to('COPY (SELECT * FROM copied LIMIT 3) TO STDOUT'))) out += chunk
  return out
}

async function copyThatFails(c) {
  await pipeline(Readable.from(['x\ty\n']), c.query(from('COPY copied FROM STDIN')))
}

async function listen(c) {
  const heard = new Promise((resolve) => c.once('notification', (n) => resolve([n.channel, n.payload])))
  await c.query('LISTEN drivers')
  const other = await connect()
  await other.query("NOTIFY drivers, 'word'")
  await other.end()
  return heard
}

async function notices(c) {
  const heard = []
  c.on('notice', (notice) => heard.push([notice.severity, notice.message]))
  await c.query("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$")
  return heard
}

async function named(c) {
  const told = []
  for (let n = 0; n < 10; n++) {
    told.push((await c.query({ name: 'plus', text: 'SELECT $1::int + 1 AS n', values: [n] })).rows[0].n)
  }
  return told
}

async function main() {
  const c = await connect()
  await step('select', async () => (await c.query("SELECT 1 AS a, 'é' AS b, NULL AS c, now() > '2000-01-01' AS d")).rows)
  await step('several', async () => (await c.query('SELECT 1 AS a; SELECT 2 AS b')).map((result) => result.rows))
  await step('values', async () => {
    const sent = [1, 2.5, 'text', true, null, Buffer.from([0, 255]), ['a', null], { a: 1 }]
    const text = 'SELECT $1::int, $2::float8, $3::text, $4::bool, $5::text, $6::bytea, $7::text[], $8::jsonb'
    return (await c.query({ text, values: sent, rowMode: 'array' })).rows
  })
  await step('named', () => named(c))
  await step('queued', async () => (await Promise.all([1, 2, 3].map((n) => c.query('SELECT $1::int', [n])))).length)
  await step('transaction', () => transaction(c))
  await step('pool', pooled)
  await step('cursor', () => cursor(c))
  await step('copy', () => copy(c))
  await step('copy that fails', () => copyThatFails(c))
  await step('listen', () => listen(c))
  await step('notices', () => notices(c))
  await step('empty', async () => (await c.query('')).rows)
  await step('syntax error', () => c.query('SELECT 1 FRM x'))
  await step('no table', () => c.query('SELECT * FROM nowhere WHERE a = $1', [1]))
  await step('large', async () => (await c.query('SELECT length($1)', ['x'.repeat(2000000)])).rows)
  await step('terminated', () => c.query('SELECT pg_terminate_backend(pg_backend_pid())'))
  console.log(JSON.stringify(outcomes))
  process.exit(0)
}

main()
