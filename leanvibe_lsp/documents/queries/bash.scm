(function_definition name: (_) @name body: (_) @body) @function
(command name: (command_name) @_source (#match? @_source "^(source|\\.)$")) @import
((command name: (command_name (word) @function @name)) . (ERROR . "(" . ")")) @error
(ERROR (word) @function @name . "(" . ")") @error
