<?php
namespace A\B;

use X\Y;
require 'x.php';

/**
 * A box.
 */
abstract class Box extends Base
{
    /** Opens. */
    public function open(int $a): int { return 1; }
    abstract function close();
}
interface Visitor { function visit($x); }
trait Loud {}
enum Kind { case A; }
function helper($x) { return $x; }

function every(int $a, ?string &$b = null, ...$rest) {}
class Promoted { public function __construct(private int $x, protected readonly string $y = "") {} }
