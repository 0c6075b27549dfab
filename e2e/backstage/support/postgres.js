// A database of its own on the PostgreSQL server of the tests.
import { randomBytes } from 'node:crypto';
import pg from 'pg';

async function query(url, sql, values) {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    return await client.query(sql, values);
  } finally {
    await client.end();
  }
}

// createDatabase makes a database on a server and returns its URL, a function to
// query it, and one to drop it whoever is still connected.
export async function createDatabase(serverUrl) {
  const name = `e2e_backstage_${randomBytes(6).toString('hex')}`;
  await query(serverUrl, `CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    query: (sql, values) => query(url.href, sql, values),
    drop: () => query(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`),
  };
}
