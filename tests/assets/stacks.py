"""Stack texts of eight runtimes as they print them, each with its deepest own function and its root cause."""

STACKS = {
    "python": (
        """Traceback (most recent call last):
  File "/srv/shop/lib/serializer.py", line 12, in to_json
    return json.dumps(value)
           ^^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.11/json/__init__.py", line 231, in dumps
    return _default_encoder.encode(obj)
TypeError: Object of type Decimal is not JSON serializable

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/shop/handlers/charges.py", line 40, in create
    respond(charge)
RuntimeError: cannot answer
""",
        "serializer:to_json",
        ("TypeError", "Object of type Decimal is not JSON serializable"),
    ),
    "java": (
        """java.lang.IllegalStateException: cart 12 broken
\tat com.shop.Cart.add(Cart.java:42)
\tat com.shop.Cart$$Lambda$123/0x0000000800c8b440.run(Unknown Source)
\tat java.base/java.lang.Thread.run(Thread.java:833)
Caused by: java.sql.SQLException: timeout after 30 ms
\tat org.postgresql.Driver.connect(Driver.java:1)
\tat com.shop.Db.open(Db.java:9)
\t... 23 more
""",
        "com.shop.Db.open",
        ("java.sql.SQLException", "timeout after 30 ms"),
    ),
    "javascript": (
        """TypeError: Cannot read properties of undefined (reading 'id')
    at Object.handler (/app/src/cart.js:10:5)
    at async Promise.all (index 0)
    at /app/src/server.js:3:4
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
""",
        "cart:handler",
        ("TypeError", "Cannot read properties of undefined (reading 'id')"),
    ),
    "go": (
        """panic: runtime error: index out of range [5] with length 3

goroutine 19 [running]:
panic({0x123, 0x456})
\t/usr/local/go/src/runtime/panic.go:884 +0x212
github.com/acme/shop/internal/cart.(*Service).Add(0xc000010000, {0x1, 0x2})
\t/app/internal/cart/service.go:42 +0x1d
main.main.func1()
\t/app/main.go:12 +0x2
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:3086 +0x5cb
""",
        "github.com/acme/shop/internal/cart.(*Service).Add",
        ("panic", "runtime error: index out of range [5] with length 3"),
    ),
    "dotnet": (
        """System.InvalidOperationException: outer
 ---> System.ArgumentException: bad amount 5
   at Shop.Db.Open(String s) in /src/Db.cs:line 3
   --- End of inner exception stack trace ---
   at Shop.Cart.<AddAsync>d__5.MoveNext() in /src/Cart.cs:line 42
--- End of stack trace from previous location ---
   at System.Runtime.CompilerServices.TaskAwaiter.GetResult()
""",
        "Shop.Db.Open",
        ("System.ArgumentException", "bad amount 5"),
    ),
    "ruby": (
        """/app/models/cart.rb:42:in `add': can't add 5 (ArgumentError)
\tfrom /app/controllers/carts.rb:12:in `block (2 levels) in create'
\tfrom /usr/lib/ruby/gems/3.2.0/gems/rack-2.2/lib/rack.rb:1:in `call'
""",
        "cart:add",
        ("ArgumentError", "can't add 5"),
    ),
    "php": (
        """PDOException: SQLSTATE[23000]: duplicate in /app/src/Db.php:42
Stack trace:
#0 /app/src/Cart.php(12): App\\Db->insert('a', 1)
#1 /app/vendor/slim/App.php(99): App\\Cart->add(Array)
#2 {main}

Next RuntimeException: wrapped in /app/src/Cart.php:15
Stack trace:
#0 /app/vendor/slim/App.php(99): App\\Cart->add(Array)
#1 {main}
""",
        "Db:App\\Db->insert",
        ("PDOException", "SQLSTATE[23000]: duplicate"),
    ),
    "rust": (
        """thread 'tokio-runtime-worker' panicked at src/cart.rs:42:9:
index out of bounds: the len is 3 but the index is 5
stack backtrace:
   0: rust_begin_unwind
             at /rustc/abc/library/std/src/panicking.rs:645:5
   1: core::panicking::panic_fmt
             at /rustc/abc/library/core/src/panicking.rs:72:14
   2: shop::cart::add::{{closure}}
             at ./src/cart.rs:42:9
   3: shop::main
             at ./src/main.rs:3:1
""",
        "shop::cart::add",
        ("panic", "index out of bounds: the len is 3 but the index is 5"),
    ),
}
