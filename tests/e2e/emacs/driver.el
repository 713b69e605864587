;;; driver.el --- What a person does in Emacs, for tests/e2e/test_emacs.py  -*- lexical-binding: t; -*-

;; Environment: LEANVIBE_SCENARIO (a function below, without "scenario-"), LEANVIBE_REPORT (the file to write),
;; LEANVIBE_EL (the folder of leanvibe.el), LEANVIBE_FILE, LEANVIBE_CMD (JSON), LEANVIBE_QUESTION.

(setq package-enable-at-startup nil
      enable-local-variables nil
      make-backup-files nil
      auto-save-default nil
      create-lockfiles nil)
(package-initialize)
(add-to-list 'load-path (getenv "LEANVIBE_EL"))
(require 'leanvibe)
(require 'flymake)
(require 'json)

(setq eglot-confirm-server-initiated-edits nil
      eglot-connect-timeout 200
      eglot-sync-connect 200
      leanvibe-program (json-parse-string (getenv "LEANVIBE_CMD") :array-type 'list))

(defun driver-wait (what condition)
  "Wait until CONDITION gives a value, and return it; WHAT is for the error."
  (let ((end (+ (float-time) 200)) value)
    (while (not (setq value (funcall condition)))
      (when (> (float-time) end) (error "Timed out waiting for %s" what))
      (accept-process-output nil 0.02))
    value))

(defun driver-open ()
  "Open the file with LeanVibe as its server, chosen as a person's init file does."
  (leanvibe-setup t)
  (find-file (getenv "LEANVIBE_FILE"))
  (switch-to-buffer (current-buffer))
  (apply #'eglot (eglot--guess-contact))
  (driver-wait "the server" #'eglot-current-server))

(defun driver-diagnostics (count)
  "Wait for COUNT diagnostics, and return them."
  (driver-wait (format "%d diagnostics" count)
               (lambda ()
                 ;; Emacs without a window is never idle, which is when Eglot tells of edits.
                 (eglot--signal-textDocument/didChange)
                 (flymake-start nil)
                 (= (length (flymake-diagnostics)) count)))
  (flymake-diagnostics))

(defun driver-take (title line)
  "Take the code action TITLE on LINE, as `eglot-code-actions' offers it; the titles that were offered."
  (goto-char (point-min))
  (forward-line (1- line))
  (let ((last-nonmenu-event ?a) offered)
    (cl-letf (((symbol-function 'completing-read)
               (lambda (_prompt items &rest _) (setq offered (mapcar #'car items)) title)))
      (eglot-code-actions (line-beginning-position) (line-end-position) nil t))
    offered))

(defun driver-answer ()
  "Text and header of the answer's window."
  (with-current-buffer "*LeanVibe*"
    (list :text (buffer-string) :state leanvibe--state :mode (symbol-name major-mode))))

(defun driver-text () (buffer-substring-no-properties (point-min) (point-max)))

(defun scenario-reading ()
  "Connect, see diagnostics as severe as the settings say, and hover."
  (setq-default eglot-workspace-configuration
                '(:leanvibe (:diagnostics (:severity (:python/mutable-default "error")))))
  (driver-open)
  (driver-wait "the error" (lambda ()
                             (flymake-start nil)
                             (cl-some (lambda (one) (eq 'eglot-error (flymake-diagnostic-type one)))
                                      (flymake-diagnostics))))
  (let ((found (mapcar #'flymake-diagnostic-text (driver-diagnostics 2))) hover)
    (goto-char (point-min))
    (search-forward "f(")
    (backward-char 2)
    (set-window-buffer (selected-window) (current-buffer))
    (eglot-hover-eldoc-function (lambda (info &rest _) (setq hover (substring-no-properties info))))
    (list :server (symbol-name (eieio-object-class (eglot-current-server)))
          :diagnostics (vconcat (sort found #'string<))
          :hover (driver-wait "the hover" (lambda () hover)))))

(defun scenario-acting ()
  "Take a rule's fix, then a suppression."
  (driver-open)
  (driver-diagnostics 2)
  (let ((offered (driver-take "Remove the f" 2)))
    (driver-diagnostics 1)
    (driver-take "Ignore python/mutable-default on this line" 1)
    (driver-diagnostics 0)
    (list :offered (vconcat offered) :text (driver-text))))

(defun scenario-asking ()
  "Ask, and note how the text grows."
  (driver-open)
  (let (texts)
    (leanvibe-ask (getenv "LEANVIBE_QUESTION"))
    (driver-wait "the answer" (lambda ()
                                (push (plist-get (driver-answer) :text) texts)
                                (null leanvibe--requests)))
    (list :texts (vconcat (delete "" (delete-dups (nreverse texts)))) :final (driver-answer))))

(defun scenario-explaining ()
  "Explain by the code action."
  (driver-open)
  (driver-take "Explain with LeanVibe" 1)
  (driver-wait "the answer" (lambda () (null leanvibe--requests)))
  (driver-answer))

(defun scenario-stopping ()
  "Stop an answer in its middle, and ask something brief."
  (driver-open)
  (leanvibe-ask (getenv "LEANVIBE_QUESTION"))
  (driver-wait "the first text" (lambda () (not (string-empty-p (plist-get (driver-answer) :text)))))
  (leanvibe-cancel)
  (driver-wait "the end" (lambda () (null leanvibe--requests)))
  (let ((stopped (driver-answer)))
    (list :stopped stopped
          :tokens (plist-get (plist-get (jsonrpc-request (eglot-current-server) :leanvibe/ask
                                                         '(:question "Say yes." :maxTokens 1) :timeout 200)
                                        :usage)
                             :completionTokens))))

(defun scenario-changing ()
  "A change that fails its checks."
  (driver-open)
  (driver-diagnostics 2)
  (goto-char (point-min))
  (leanvibe-change "Add types.")
  (driver-wait "the end" (lambda () (null leanvibe--requests)))
  (list :text (driver-text) :draft (driver-answer)))

(defun driver-run ()
  "Run the scenario and write what it saw."
  (let* ((trouble nil)
         (facts (condition-case problem
                    (funcall (intern (concat "scenario-" (getenv "LEANVIBE_SCENARIO"))))
                  (error (setq trouble (format "%S" problem)) nil)))
         (events (and trouble (eglot-current-server)
                      (with-current-buffer (jsonrpc-events-buffer (eglot-current-server)) (buffer-string)))))
    (let ((coding-system-for-write 'utf-8-unix))
      (with-temp-file (getenv "LEANVIBE_REPORT")
        (insert (json-serialize (list :ok (if trouble :false t) :trouble (or trouble "") :events (or events "")
                                      :facts (or facts :null))))))
    (let ((eglot-autoreconnect nil))
      (ignore-errors (eglot-shutdown-all)))
    (kill-emacs 0)))

(driver-run)
;;; driver.el ends here
