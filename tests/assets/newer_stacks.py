"""Stack texts of newer runtimes and of rarer shapes, each with its language, its chain and its deepest own function.

Those of Java 17, Node 20, Go 1.19 (and its pkg/errors and xerrors), Ruby 3.1, PHP 8.2 and Rust 1.95 were printed by
these; those of Go 1.23, Ruby 3.4, PHP 8.5 and .NET 8 are written as their release notes and sources say.
"""

# ruff: noqa: E501  (printed stacks are as long as they are)

NEWER = {
    "java, frames elided and a circle": (
        """java.util.concurrent.ExecutionException: com.acme.Refused: cannot store
it: now
\tat java.base/java.util.concurrent.FutureTask.report(FutureTask.java:122)
\tat com.acme.Shop.pay(Shop.java:12)
\tSuppressed: java.lang.IllegalStateException: close failed
\t\tat com.acme.Shop$Res.close(Shop.java:5)
\t\t... 2 more
\tCaused by: java.io.IOException: of the suppressed
\t\t... 3 more
Caused by: com.acme.Refused: cannot store
it: now
\tat com.acme.Shop.store(Shop.java:7)
\t... 1 more
Caused by: java.io.IOException: disk full 7
\t... 2 more
Caused by: [CIRCULAR REFERENCE: com.acme.Refused: cannot store]
""",
        "java",
        [("java.util.concurrent.ExecutionException", "com.acme.Refused: cannot store\nit: now"),
         ("com.acme.Refused", "cannot store\nit: now"), ("java.io.IOException", "disk full 7")],
        "com.acme.Shop.store",
    ),
    "java 21, a hidden class": (
        """Exception in thread "worker-1" java.lang.IllegalStateException: in thread 3
\tat com.acme.Shop.lambda$main$3(Shop.java:24)
\tat com.acme.Shop$$Lambda/0x00007f1c80001208.run(Unknown Source)
\tat java.base/java.lang.VirtualThread.run(VirtualThread.java:309)
""",
        "java",
        [("java.lang.IllegalStateException", "in thread 3")],
        "com.acme.Shop.lambda$main",
    ),
    "node, causes inside one another": (
        """Error: order failed
    at top (file:///srv/shop/shop.mjs:5:60)
    at async file:///srv/shop/shop.mjs:12:52 {
  [cause]: StockError: no stock
      at mid (file:///srv/shop/shop.mjs:4:60)
      at async Promise.all (index 0)
      at async top (file:///srv/shop/shop.mjs:5:29) {
    code: 'E_STOCK',
    sku: { id: 7 },
    [cause]: SyntaxError: Expected property name or '}' in JSON at position 1
        at JSON.parse (<anonymous>)
        at low (file:///srv/shop/shop.mjs:3:40)
        at async mid (file:///srv/shop/shop.mjs:4:29) {
      [cause]: 'because'
    }
  }
}
""",
        "javascript",
        [("Error", "order failed"), ("StockError", "no stock"),
         ("SyntaxError", "Expected property name or '}' in JSON at position 1")],
        "shop:low",
    ),
    "node, several that one holds": (
        """[AggregateError: All promises were rejected] {
  [errors]: [
    StockError: no stock
        at mid (file:///srv/shop/shop.mjs:4:60)
        at async agg (file:///srv/shop/shop.mjs:10:18) {
      code: 'E_STOCK',
      [cause]: RangeError: of the first
          at low (file:///srv/shop/shop.mjs:3:40)
    },
    SyntaxError: of the second
        at other (file:///srv/shop/shop.mjs:30:40) {
      [cause]: Error: not of the first
          at another (file:///srv/shop/shop.mjs:33:40)
    }
  ]
}
""",
        "javascript",
        [("AggregateError", "All promises were rejected"), ("StockError", "no stock"), ("RangeError", "of the first")],
        "shop:low",
    ),
    "node, an error that nobody caught": (
        """/srv/shop/src/cart.js:1
function handler(){ process.nextTick(() => { throw new TypeError('boom 5') }) }
                                             ^

TypeError: boom 5
    at handler (/srv/shop/src/cart.js:1:50)
    at process.processTicksAndRejections (node:internal/process/task_queues:77:11)

Node.js v20.20.2
""",
        "javascript",
        [("TypeError", "boom 5")],
        "cart:handler",
    ),
    "go, a panic while another passes": (
        """panic: refused 3: low
second [recovered]
\tpanic: refused 3: low
second

goroutine 1 [running]:
main.repanic.func1()
\t/srv/shop/main.go:11 +0x34
panic({0x48e220, 0xc000010030})
\t/usr/local/go/src/runtime/panic.go:884 +0x212
main.low(0x3)
\t/srv/shop/main.go:9 +0x4f
main.repanic()
\t/srv/shop/main.go:11 +0x45
created by main.main
\t/srv/shop/main.go:33 +0x1dd
""",
        "go",
        [("panic", "refused 3: low")],
        "main.low",
    ),
    "go 1.23, raised again": (
        """panic: no stock [recovered, repanicked]

goroutine 34 gp=0xc000186c40 m=4 mp=0xc000100008 [running]:
panic({0x4a1c60?, 0xc000014170?})
\t/usr/local/go/src/runtime/panic.go:804 +0x168 fp=0xc0001a1e50 sp=0xc0001a1da0 pc=0x46a8a8
shop/internal/cart.(*Cart[...]).Add-range1(...)
\t/srv/shop/internal/cart/cart.go:31
shop/internal/cart.Serve.gowrap2()
\t/srv/shop/internal/cart/cart.go:12 +0x25 fp=0xc0001a1fe0 sp=0xc0001a1fc8 pc=0x49d0e5
created by shop/internal/cart.Serve in goroutine 1
\t/srv/shop/internal/cart/cart.go:12 +0x1a
""",
        "go",
        [("panic", "no stock")],
        "shop/internal/cart.(*Cart).Add-range",
    ),
    "go, an error of the runtime": (
        """runtime: goroutine stack exceeds 1000000000-byte limit
runtime: sp=0xc0200e0398 stack=[0xc0200e0000, 0xc0400e0000]
fatal error: stack overflow

goroutine 1 [running]:
main.deep(0x1555520?)
\t/srv/shop/main.go:32 +0x3a fp=0xc0200e03a8 sp=0xc0200e03a0 pc=0x4841fa
""",
        "go",
        [("fatal error", "stack overflow")],
        "main.deep",
    ),
    ".net, an aggregate below another": (
        """System.Exception: outer
 ---> System.AggregateException: One or more errors occurred. (bad 5) (late 6)
 ---> System.ArgumentException: bad 5
   at Shop.Db.<>c.<<OpenAsync>b__3_0>d.MoveNext() in /src/Db.cs:line 3
--- End of stack trace from previous location ---
   at Shop.Db.OpenAsync() in /src/Db.cs:line 9
   --- End of inner exception stack trace ---
   at Shop.Cart.Add(Int32 n) in /src/Cart.cs:line 42
 ---> (Inner Exception #1) System.TimeoutException: late 6
   at Shop.Late.Wait() in /src/Late.cs:line 5<---

   --- End of inner exception stack trace ---
   at Program.<<Main>$>g__Handle|0_1(String s) in /src/Program.cs:line 7
""",
        "dotnet",
        [("System.Exception", "outer"),
         ("System.AggregateException", "One or more errors occurred. (bad 5) (late 6)"),
         ("System.ArgumentException", "bad 5")],
        "Shop.Db.OpenAsync.lambda",
    ),
    ".net, a cause that was never thrown": (
        """System.InvalidOperationException: cannot pay
 ---> Shop.Refused: refused 7
   --- End of inner exception stack trace ---
   at Program.<>c.<<Main>$>b__0_2(HttpContext context) in /src/Program.cs:line 7
""",
        "dotnet",
        [("System.InvalidOperationException", "cannot pay"), ("Shop.Refused", "refused 7")],
        "Program.Main.lambda",
    ),
    "ruby, a word in brackets": (
        """/srv/shop/cart.rb:4:in `rescue in add': wrapped (Refused)
second line
\tfrom /srv/shop/cart.rb:4:in `add'
\tfrom /srv/shop/app.rb:12:in `<main>'
/srv/shop/db.rb:2:in `insert': duplicate (key) 5 (ArgumentError)
\tfrom /srv/shop/cart.rb:4:in `block in add'
\tfrom /srv/shop/cart.rb:4:in `each'
""",
        "ruby",
        [("Refused", "wrapped"), ("ArgumentError", "duplicate (key) 5")],
        "db:insert",
    ),
    "ruby 3.4": (
        """/srv/shop/cart.rb:9:in 'Shop::Cart#add': undefined method 'price' for nil (NoMethodError)

      item.price
          ^^^^^^
\tfrom <internal:array>:42:in 'Array#each'
\tfrom /srv/shop/app.rb:12:in 'block (2 levels) in Shop::App.call'
\tfrom /srv/shop/app.rb:20:in '<main>'
""",
        "ruby",
        [("NoMethodError", "undefined method 'price' for nil")],
        "Shop::Cart#add",
    ),
    "ruby, the thrown one last": (
        """Traceback (most recent call last):
\t 3: from /srv/shop/app.rb:20:in `<main>'
\t 2: from /srv/shop/app.rb:12:in `block (2 levels) in call'
\t 1: from /srv/shop/db.rb:4:in `transaction'
/srv/shop/db.rb:9:in `insert': duplicate (key) 5 (ArgumentError)
\t 2: from /srv/shop/app.rb:20:in `<main>'
\t 1: from /srv/shop/app.rb:12:in `call'
/srv/shop/cart.rb:9:in `add': wrapped (Refused)""",
        "ruby",
        [("Refused", "wrapped"), ("ArgumentError", "duplicate (key) 5")],
        "db:insert",
    ),
    "php, a closure that the engine calls": (
        """PHP Fatal error:  Uncaught LogicException: in closure 1 in /srv/shop/src/Cart.php:6
Stack trace:
#0 [internal function]: App\\Cart->App\\{closure:App\\Cart::all():6}(1)
#1 /srv/shop/src/Cart.php(6): array_map(Object(Closure), Array)
#2 /srv/shop/src/app.php(9): class@anonymous->go(7)
#3 {main}
  thrown in /srv/shop/src/Cart.php on line 6
""",
        "php",
        [("LogicException", "in closure 1")],
        "Cart:App\\Cart->App\\{closure}",
    ),
    "php 8.5, an error that is no exception": (
        """Fatal error: Maximum execution time of 1 second exceeded in /srv/shop/src/main.php on line 7
Stack trace:
#0 /srv/shop/src/main.php(7): App\\Cart->wait(2)
#1 /srv/shop/src/main.php(10): longRunning()
#2 {main}
""",
        "php",
        [("Fatal error", "Maximum execution time of 1 second exceeded")],
        "main:App\\Cart->wait",
    ),
    "php, thrown by one of its own functions": (
        """DivisionByZeroError: Division by zero in /srv/shop/src/Cart.php:9
Stack trace:
#0 /srv/shop/src/Cart.php(9): intdiv(1, 0)
#1 /srv/shop/src/Cart.php(8): App\\Cart\\Cart->parsed(1)
#2 [internal function]: App\\Cart\\Cart->price(Array)
#3 /srv/shop/src/Cart.php(7): array_map(Array, Array)
#4 /srv/shop/run.php(5): App\\Cart\\Cart->total()
#5 /srv/shop/run.php(10): {closure}()
#6 {main}
""",
        "php",
        [("DivisionByZeroError", "Division by zero")],
        "Cart:App\\Cart\\Cart->parsed",
    ),
    "php, causes that nobody caught, in a log": (
        """[23-Nov-2026 03:43:31 UTC] PHP Fatal error:  Uncaught DivisionByZeroError: Division by zero in /srv/shop/src/Cart.php:9
Stack trace:
#0 /srv/shop/src/Cart.php(9): intdiv(1, 0)
#1 /srv/shop/src/Cart.php(8): App\\Cart\\Cart->parsed(1)
#2 [internal function]: App\\Cart\\Cart->price(Array)
#3 /srv/shop/src/Cart.php(7): array_map(Array, Array)
#4 /srv/shop/src/Cart.php(16): App\\Cart\\Cart->total()
#5 /srv/shop/src/Cart.php(17): App\\Cart\\Cart->store(7)
#6 /srv/shop/run.php(7): App\\Cart\\Cart->outer(7)
#7 /srv/shop/run.php(10): {closure}()
#8 {main}

Next App\\Cart\\Refused: cannot store order 7 in /srv/shop/src/Cart.php:16
Stack trace:
#0 /srv/shop/src/Cart.php(17): App\\Cart\\Cart->store(7)
#1 /srv/shop/run.php(7): App\\Cart\\Cart->outer(7)
#2 /srv/shop/run.php(10): {closure}()
#3 {main}

Next RuntimeException: request failed
for order 7 in /srv/shop/src/Cart.php:17
Stack trace:
#0 /srv/shop/run.php(7): App\\Cart\\Cart->outer(7)
#1 /srv/shop/run.php(10): {closure}()
#2 {main}
  thrown in /srv/shop/src/Cart.php on line 17
""",
        "php",
        [("RuntimeException", "request failed\nfor order 7"),
         ("App\\Cart\\Refused", "cannot store order 7"),
         ("DivisionByZeroError", "Division by zero")],
        "Cart:App\\Cart\\Cart->parsed",
    ),
    "php, a generator that its own functions run": (
        """UnexpectedValueException: row 2 is broken in /srv/shop/src/Cart.php:14
Stack trace:
#0 [internal function]: App\\Cart\\Cart->gen()
#1 /srv/shop/src/Cart.php(13): iterator_to_array(Object(Generator))
#2 /srv/shop/run.php(6): App\\Cart\\Cart->inTurn()
#3 /srv/shop/run.php(10): {closure}()
#4 {main}
""",
        "php",
        [("UnexpectedValueException", "row 2 is broken")],
        "Cart:App\\Cart\\Cart->gen",
    ),
    "php, a message that speaks of places": (
        """Exception: Failed to parse time string (not a date) at position 0 (n): The timezone could not be found in the database in /srv/shop/src/Cart.php:11
Stack trace:
#0 /srv/shop/src/Cart.php(11): DateTimeImmutable->__construct('...')
#1 /srv/shop/run.php(5): App\\Cart\\Cart->dated('...')
#2 /srv/shop/run.php(10): {closure}()
#3 {main}
""",
        "php",
        [("Exception", "Failed to parse time string (not a date) at position 0 (n): The timezone could not be found in the database")],
        "Cart:App\\Cart\\Cart->dated",
    ),
    "php, as OpenTelemetry tells it": (
        """RuntimeException: request failed
for order 7
\tat App.Cart.Cart.outer(Cart.php:17)
\tat {closure}(run.php:7)
\tat {main}(run.php:10)
Caused by: App.Cart.Refused: cannot store order 7
\tat App.Cart.Cart.store(Cart.php:16)
\t... 3 more
Caused by: DivisionByZeroError: Division by zero
\tat intdiv(Cart.php:9)
\tat App.Cart.Cart.parsed(Cart.php:9)
\tat App.Cart.Cart.price(Cart.php:8)
\tat array_map(Unknown Source)
\tat App.Cart.Cart.total(Cart.php:7)
\t... 4 more
""",
        "php",
        [("RuntimeException", "request failed\nfor order 7"),
         ("App\\Cart\\Refused", "cannot store order 7"),
         ("DivisionByZeroError", "Division by zero")],
        "App.Cart.Cart.parsed",
    ),
    "php, a closure as OpenTelemetry tells it": (
        """LogicException: no order of a
\tat App.Cart.Cart.App.Cart.{closure}(Cart.php:10)
\tat usort(Unknown Source)
\tat App.Cart.Cart.sorted(Cart.php:10)
\tat {closure}(run.php:5)
\tat {main}(run.php:10)
""",
        "php",
        [("LogicException", "no order of a")],
        "App.Cart.Cart.App.Cart.{closure}",
    ),
    "go, pkg/errors": (
        """connect ledger: refused after 70 ms
shop/pay.(*Desk).dial
\t/srv/shop/pay/pay.go:25
shop/pay.(*Desk).Charge
\t/srv/shop/pay/pay.go:20
main.main
\t/srv/shop/main.go:14
runtime.main
\t/usr/lib/go-1.19/src/runtime/proc.go:250
runtime.goexit
\t/usr/lib/go-1.19/src/runtime/asm_amd64.s:1594
charge order 7
shop/pay.(*Desk).Charge
\t/srv/shop/pay/pay.go:21
main.main
\t/srv/shop/main.go:14
runtime.main
\t/usr/lib/go-1.19/src/runtime/proc.go:250
runtime.goexit
\t/usr/lib/go-1.19/src/runtime/asm_amd64.s:1594
""",
        "go",
        [("", "charge order 7"),
         ("", "connect ledger: refused after 70 ms")],
        "shop/pay.(*Desk).dial",
    ),
    "go, pkg/errors of several lines and without calls": (
        """inner made
in haste
shop/pay.inner
\t/srv/shop/pay/pay.go:33
shop/pay.Message
\t/srv/shop/pay/pay.go:32
main.main
\t/srv/shop/main.go:14
runtime.main
\t/usr/lib/go-1.19/src/runtime/proc.go:250
runtime.goexit
\t/usr/lib/go-1.19/src/runtime/asm_amd64.s:1594
with message only
""",
        "go",
        [("", "with message only"),
         ("", "inner made\nin haste")],
        "shop/pay.inner",
    ),
    "go, pkg/errors of a variable": (
        """ledger is gone
shop/pay.init
\t/srv/shop/pay/pay.go:15
runtime.doInit
\t/usr/lib/go-1.19/src/runtime/proc.go:6329
runtime.doInit
\t/usr/lib/go-1.19/src/runtime/proc.go:6306
runtime.main
\t/usr/lib/go-1.19/src/runtime/proc.go:233
runtime.goexit
\t/usr/lib/go-1.19/src/runtime/asm_amd64.s:1594
shop/pay.Sentinel
\t/srv/shop/pay/pay.go:30
main.main
\t/srv/shop/main.go:14
runtime.main
\t/usr/lib/go-1.19/src/runtime/proc.go:250
runtime.goexit
\t/usr/lib/go-1.19/src/runtime/asm_amd64.s:1594
""",
        "go",
        [("", ""),
         ("", "ledger is gone")],
        "shop/pay.Sentinel",
    ),
    "go, xerrors of several lines": (
        """x one
    two:
    shop/pay.XMulti
        /srv/shop/pay/pay.go:51
  - x three
    four:
    shop/pay.XMulti
        /srv/shop/pay/pay.go:51
""",
        "go",
        [("", "x one\ntwo"),
         ("", "x three\nfour")],
        "shop/pay.XMulti",
    ),
    "go, xerrors of an error without a frame": (
        """x plain:
    shop/pay.XPlain
        /srv/shop/pay/pay.go:47
  - no such row
""",
        "go",
        [("", "x plain"),
         ("", "no such row")],
        "shop/pay.XPlain",
    ),
    "go, xerrors within pkg/errors": (
        """x load 1:
    shop/pay.XNew
        /srv/shop/pay/pay.go:45
  - x inner 1:
    shop/pay.xInner
        /srv/shop/pay/pay.go:46
  - x made:
    shop/pay.xInner
        /srv/shop/pay/pay.go:46
mixed
shop/pay.Mixed
\t/srv/shop/pay/pay.go:52
main.main
\t/srv/shop/main.go:16
runtime.main
\t/usr/lib/go-1.19/src/runtime/proc.go:250
runtime.goexit
\t/usr/lib/go-1.19/src/runtime/asm_amd64.s:1594
""",
        "go",
        [("", "mixed"),
         ("", "x load 1"),
         ("", "x inner 1"),
         ("", "x made")],
        "shop/pay.xInner",
    ),
    "go, pkg/errors within xerrors": (
        """x mixed:
    shop/pay.Mixed2
        /srv/shop/pay/pay.go:53
  - inner made
    shop/pay.inner
    \t/srv/shop/pay/pay.go:33
    shop/pay.Mixed2
    \t/srv/shop/pay/pay.go:53
    main.main
    \t/srv/shop/main.go:16
    runtime.main
    \t/usr/lib/go-1.19/src/runtime/proc.go:250
    runtime.goexit
    \t/usr/lib/go-1.19/src/runtime/asm_amd64.s:1594
""",
        "go",
        [("", "x mixed"),
         ("", "inner made")],
        "shop/pay.inner",
    ),
    "php, the trace alone": (
        """#0 /srv/shop/src/Cart.php(5): App\\Db->insert('items', Array)
#1 /srv/shop/src/app.php(7): App\\Cart->add(Array)
#2 {main}
""",
        "php",
        [("", "")],
        "App\\Db->insert",
    ),
    "rust 1.95, a thread and the one that waits": (
        """
thread 'worker-3' (20840) panicked at src/shop.rs:6:82:
cannot pay
second line
stack backtrace:
   0: std::panicking::begin_panic::<&str>
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:761:5
   1: <shop::Cart as shop::Pay>::pay
             at ./src/shop.rs:6:82
   2: shop::main::{{closure}}
             at ./src/shop.rs:16:77
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.

thread 'main' (20838) panicked at src/shop.rs:16:101:
called `Result::unwrap()` on an `Err` value: Any { .. }
stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:689:5
   1: core::result::unwrap_failed
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/result.rs:1867:5
   2: shop::main
             at ./src/shop.rs:16:101
""",
        "rust",
        [("panic", "cannot pay")],
        "<shop::Cart as shop::Pay>::pay",
    ),
    "rust before 1.65": (
        """thread 'main' panicked at 'index out of bounds: the len is 3 but the index is 7', src/shop.rs:5:91
stack backtrace:
   0: rust_begin_unwind
             at /rustc/9eb3afe9ebe9c7d2b84b71002d44f4a0edac95e0/library/std/src/panicking.rs:575:5
   1: core::panicking::panic_fmt
             at /rustc/9eb3afe9ebe9c7d2b84b71002d44f4a0edac95e0/library/core/src/panicking.rs:64:14
   2: shop::cart::add
             at ./src/shop.rs:5:91
""",
        "rust",
        [("panic", "index out of bounds: the len is 3 but the index is 7")],
        "shop::cart::add",
    ),
}  # fmt: skip
"""By what it shows: the text, the language, the chain's types and messages, the place."""

FULL = """
thread 'main' (20802) panicked at src/shop.rs:6:82:
cannot pay
stack backtrace:
   0:     0x56209959651a - std[e28293b1aa0f68bd]::backtrace_rs::backtrace::libunwind::trace
                               at /rustc/59807616/library/std/src/../../backtrace/src/backtrace/libunwind.rs:117:9
   1:     0x562099580faf - std[e28293b1aa0f68bd]::panicking::default_hook::{closure#0}
                               at /rustc/59807616/library/std/src/panicking.rs:292:27
   2:     0x562099576470 - std[e28293b1aa0f68bd]::panicking::begin_panic::<&str>
                               at /rustc/59807616/library/std/src/panicking.rs:761:5
   3:     0x5620995683fe - <shop[c1f1a4ba060b9bfa]::Cart as shop[c1f1a4ba060b9bfa]::Pay>::pay
                               at /srv/build/src/shop.rs:6:82
   4:     0x562099569d07 - shop::main::h00330a5efbb668ba
                               at /srv/build/src/shop.rs:15:97
   5:     0x562099563c33 - std::sys::backtrace::__rust_begin_short_backtrace::h0c66b0ed81a8dd4e
                               at /rustc/59807616/library/std/src/sys/backtrace.rs:166:18
   6:     0x56209956a0ae - main
   7:     0x7f5a4a37024a - __libc_start_call_main
   8:                0x0 - <unknown>
"""
"""What `RUST_BACKTRACE=full` shows of a panic in `pay`."""
