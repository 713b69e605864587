<?php
use A\B;

class Reader
{
    public function open($path)
    {
        return fopen($path;
    }

    public function close($handle)
    {
        $x = ;
        if ($handle {
        }
    }
}

function after($a) {
    return [$a;
}
