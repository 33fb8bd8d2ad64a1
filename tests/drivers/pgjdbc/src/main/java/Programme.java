// SPDX-License-Identifier: Apache-2.0

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.sql.BatchUpdateException;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;
import org.postgresql.util.PSQLException;

/** Steps of pgJDBC: server-side prepared statements, batches, cursors, metadata, COPY, the fast path. */
public final class Programme {
  private static final StringBuilder OUTCOMES = new StringBuilder();

  private interface Work {
    Object run() throws Exception;
  }

  private static void step(String name, Work work) {
    String told;
    try {
      told = String.valueOf(work.run());
    } catch (BatchUpdateException error) {
      told = Arrays.toString(error.getUpdateCounts()) + " " + error.getSQLState() + " " + error.getMessage();
    } catch (PSQLException error) {
      Object position = error.getServerErrorMessage() == null ? "" : error.getServerErrorMessage().getPosition();
      told = error.getSQLState() + " " + error.getMessage() + " " + position;
    } catch (Exception error) {
      told = error.toString();
    }
    OUTCOMES.append(OUTCOMES.isEmpty() ? "{" : ",").append(quoted(name)).append(':').append(quoted(told));
  }

  private static String quoted(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      out.append(c < ' ' || c == '"' || c == '\\' || c > '~' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
    }
    return out.append('"').toString();
  }

  private static Connection connect(String... options) throws SQLException {
    Properties properties = new Properties();
    properties.setProperty("user", System.getenv("PGUSER"));
    properties.setProperty("password", System.getenv("PGPASSWORD"));
    properties.setProperty("sslmode", "verify-full");
    properties.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
    for (int i = 0; i < options.length; i += 2) {
      properties.setProperty(options[i], options[i + 1]);
    }
    String place = System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
    return DriverManager.getConnection("jdbc:postgresql://" + place, properties);
  }

  private static List<List<Object>> rows(ResultSet found) throws SQLException {
    List<List<Object>> all = new ArrayList<>();
    while (found.next()) {
      List<Object> row = new ArrayList<>();
      for (int i = 1; i <= found.getMetaData().getColumnCount(); i++) {
        row.add(found.getString(i));
      }
      all.add(row);
    }
    return all;
  }

  private static Object ask(Connection c, String text) throws SQLException {
    try (Statement s = c.createStatement()) {
      boolean hasRows = s.execute(text);
      List<Object> told = new ArrayList<>();
      while (hasRows || s.getUpdateCount() != -1) {
        told.add(hasRows ? rows(s.getResultSet()) : s.getUpdateCount());
        hasRows = s.getMoreResults();
      }
      return told;
    }
  }

  private static Object prepared(Connection c) throws SQLException {
    List<Object> told = new ArrayList<>();
    try (PreparedStatement s = c.prepareStatement("SELECT ?::int + 1, ?::text, ?::timestamptz")) {
      for (int n = 0; n < 12; n++) { // from the fifth on under a name
        s.setInt(1, n);
        s.setString(2, "\u00e9" + n);
        s.setObject(3, null, Types.TIMESTAMP_WITH_TIMEZONE);
        told.add(rows(s.executeQuery()));
      }
    }
    return told;
  }

  private static Object batch(Connection c, int divisor) throws SQLException {
    ask(c, "CREATE TABLE IF NOT EXISTS batched (a int)");
    try (PreparedStatement s = c.prepareStatement("INSERT INTO batched VALUES (? / ?)")) {
      for (int n = 0; n < 300; n++) {
        s.setInt(1, n);
        s.setInt(2, n == 250 ? divisor : 1);
        s.addBatch();
      }
      return s.executeBatch().length;
    }
  }

  private static Object cursor(Connection c) throws SQLException {
    c.setAutoCommit(false);
    try (Statement s = c.createStatement()) {
      s.setFetchSize(10);
      int sum = 0;
      ResultSet found = s.executeQuery("SELECT generate_series(1, 105)");
      while (found.next()) {
        sum += found.getInt(1);
      }
      return sum;
    } finally {
      c.rollback();
      c.setAutoCommit(true);
    }
  }

  private static Object savepoint(Connection c) throws SQLException {
    c.setAutoCommit(false);
    try {
      Savepoint here = c.setSavepoint("here");
      String state = "";
      try {
        ask(c, "SELECT 1/0");
      } catch (SQLException error) {
        state = error.getSQLState();
      }
      c.rollback(here);
      Object alive = ask(c, "SELECT 'alive'");
      c.commit();
      return state + alive;
    } finally {
      c.setAutoCommit(true);
    }
  }

  private static Object copy(Connection c) throws Exception {
    ask(c, "CREATE TEMP TABLE copied (id int, note text)");
    CopyManager copies = c.unwrap(PGConnection.class).getCopyAPI();
    StringBuilder lines = new StringBuilder();
    for (int n = 0; n < 3000; n++) {
      lines.append(n).append("\tnote ").append(n).append('\n');
    }
    byte[] bytes = lines.toString().getBytes(StandardCharsets.UTF_8);
    long count = copies.copyIn("COPY copied FROM STDIN", new ByteArrayInputStream(bytes));
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    copies.copyOut("COPY (SELECT * FROM copied LIMIT 3) TO STDOUT", out);
    return count + out.toString(StandardCharsets.UTF_8);
  }

  private static Object copyThatFails(Connection c) throws Exception {
    CopyManager copies = c.unwrap(PGConnection.class).getCopyAPI();
    return copies.copyIn("COPY copied FROM STDIN", new ByteArrayInputStream("x\ty\n".getBytes(StandardCharsets.UTF_8)));
  }

  private static Object largeObject(Connection c) throws SQLException { // by FunctionCall messages
    c.setAutoCommit(false);
    try {
      LargeObjectManager things = c.unwrap(PGConnection.class).getLargeObjectAPI();
      long id = things.createLO();
      LargeObject thing = things.open(id, LargeObjectManager.READWRITE);
      thing.write(new byte[50_000]);
      thing.seek(10);
      String told = thing.tell() + " " + thing.size() + " " + thing.read(100_000).length;
      thing.close();
      things.delete(id);
      return told;
    } finally {
      c.rollback();
      c.setAutoCommit(true);
    }
  }

  private static Object call(Connection c) throws SQLException {
    ask(c, "CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'");
    try (CallableStatement s = c.prepareCall("{ ? = call twice(?) }")) {
      s.registerOutParameter(1, Types.INTEGER);
      s.setInt(2, 21);
      s.execute();
      return s.getInt(1);
    }
  }

  private static Object refcursor(Connection c) throws SQLException {
    ask(c, "CREATE FUNCTION opened() RETURNS refcursor LANGUAGE plpgsql AS"
        + " 'DECLARE r refcursor; BEGIN OPEN r FOR SELECT generate_series(1, 5); RETURN r; END'");
    c.setAutoCommit(false);
    try (CallableStatement s = c.prepareCall("{ ? = call opened() }")) {
      s.registerOutParameter(1, Types.REF_CURSOR);
      s.execute();
      return rows((ResultSet) s.getObject(1));
    } finally {
      c.rollback();
      c.setAutoCommit(true);
    }
  }

  private static Object metadata(Connection c) throws SQLException {
    List<Object> told = new ArrayList<>();
    told.add(c.getMetaData().getDatabaseProductVersion());
    ResultSet columns = c.getMetaData().getColumns(null, "public", "batched", "%");
    while (columns.next()) {
      told.add(columns.getString("COLUMN_NAME") + " " + columns.getString("TYPE_NAME"));
    }
    return told;
  }

  private static Object warnings(Connection c) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$");
      List<String> told = new ArrayList<>();
      for (SQLWarning w = s.getWarnings(); w != null; w = w.getNextWarning()) {
        told.add(w.getSQLState() + " " + w.getMessage());
      }
      return told;
    }
  }

  private static Object changed(Connection c) throws SQLException { // "cached plan must not change result type"
    ask(c, "CREATE TABLE changing (a int)");
    List<Object> told = new ArrayList<>();
    try (PreparedStatement s = c.prepareStatement("SELECT * FROM changing")) {
      for (int n = 0; n < 8; n++) {
        if (n == 6) {
          ask(c, "ALTER TABLE changing ADD b int");
        }
        told.add(s.executeQuery().getMetaData().getColumnCount());
      }
    }
    return told;
  }

  private static Object timeout(Connection c) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.setQueryTimeout(1);
      return s.execute("SELECT pg_sleep(10)");
    }
  }

  public static void main(String[] arguments) throws Exception {
    Connection c = connect();
    step("select", () -> ask(c, "SELECT 1, 'a', NULL"));
    step("several", () -> ask(c, "SELECT 1; SELECT 2; CREATE TABLE s (a int)"));
    step("prepared", () -> prepared(c));
    step("batch", () -> batch(c, 1));
    step("batch that fails", () -> batch(c, 0));
    step("counted", () -> ask(c, "SELECT count(*) FROM batched"));
    step("cursor", () -> cursor(c));
    step("savepoint", () -> savepoint(c));
    step("copy", () -> copy(c));
    step("copy that fails", () -> copyThatFails(c));
    step("large object", () -> largeObject(c));
    step("call", () -> call(c));
    step("refcursor", () -> refcursor(c));
    step("metadata", () -> metadata(c));
    step("warnings", () -> warnings(c));
    step("changed", () -> changed(c));
    step("timeout", () -> timeout(c));
    step("syntax error", () -> ask(c, "SELECT 1 FRM x"));
    step("no table", () -> ask(c, "SELECT * FROM nowhere"));
    step("simple mode", () -> ask(connect("preferQueryMode", "simple"), "SELECT 1; SELECT 2"));
    step("rewritten batch", () -> batch(connect("reWriteBatchedInserts", "true"), 1));
    step("terminated", () -> ask(c, "SELECT pg_terminate_backend(pg_backend_pid())"));
    System.out.println(OUTCOMES.append('}'));
  }
}
