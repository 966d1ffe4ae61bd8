"""Which test holds which item of the security requirements, and which items have nothing to hold yet, and why.

A test is named by its file below `tests` and its function. Where it says "not yet", something is missing for the item to apply;
whoever brings that brings the test.
"""

REQUIREMENTS: dict[str, tuple[str, ...] | str] = {
    # paths and names
    "P1": (
        "core/test_core.py::test_any_other_spelling_is_refused",
        "core/test_core.py::test_whatever_is_taken_stays_in_its_folder",
        "net/test_inbound.py::test_p1_paths_in_disguise_are_refused",
        "net/test_inbound.py::test_p1_plain_paths_pass",
        "app/test_hostile.py::test_p4_names_in_paths_are_data",
    ),
    "P2": (
        "core/test_core.py::test_a_link_that_leads_out_is_refused",
        "storage/test_trees.py::test_a_link_inside_the_folder_is_not_followed_out_of_it",
    ),
    "P3": (
        "storage/test_trees.py::test_a_tree_that_leads_out_of_its_folder_writes_nothing",
        "net/test_requirements.py::test_p3_paths_are_joined_in_one_place",
    ),
    "P4": ("app/test_hostile.py::test_p4_names_in_paths_are_data", "core/test_core.py::test_what_is_no_id_is_told"),
    "P5": "not yet: no route takes a location; those of the MLflow protocol come with it",
    "P6": "not yet: no route takes the source of a version or a prompt",
    "P7": (
        "storage/test_trees.py::test_links_and_pipes_are_not_kept",
        "storage/test_trees.py::test_a_malformed_tree_is_refused",
        "stats/test_profile.py::test_a_bomb_is_not_unpacked",
        "data/test_sources.py::test_an_archive_of_two_files_or_a_spreadsheet_is_refused",
    ),
    "P8": (
        "storage/test_refusals.py::test_the_database_is_for_its_owner_only",
        "app/test_log_in.py::test_the_list_of_tokens_holds_no_secret_and_only_its_owner_reads_it",
    ),
    "P9": (
        "auth/test_tokens.py::test_a_bad_name_is_refused",
        "auth/test_token_commands.py::test_bad_input_makes_nothing",
    ),
    # bodies and parsers
    "B1": (
        "app/test_hostile.py::test_heads",
        "app/test_hostile.py::test_b1_a_chunked_body_is_stopped_at_the_limit",
        "net/test_inbound.py::test_an_application_behind_the_limits_sees_only_what_they_let_through",
    ),
    "B2": ("app/test_hostile.py::test_bodies", "net/test_inbound.py::test_a_compressed_body_is_read_within_its_limits"),
    "B3": (
        "app/test_hostile.py::test_bodies",
        "net/test_inbound.py::test_depth_is_counted_exactly_whatever_the_strings_hold",
        "core/test_core.py::test_json_nested_too_deeply_is_refused",
    ),
    "B4": ("app/test_hostile.py::test_bodies", "formats/test_oip.py::test_integers_keep_every_digit_and_their_range"),
    "B5": (
        "app/test_hostile.py::test_bodies",
        "net/test_inbound.py::test_b5_nul_is_found_however_it_is_written_and_nothing_else_is",
    ),
    "B6": (
        "app/test_hostile.py::test_bodies",
        "net/test_inbound.py::test_b6_any_other_type_is_refused",
        "net/test_inbound.py::test_b6_a_type_is_read_whatever_its_spelling",
        "protocols/test_scoring.py::test_other_content_types_are_a_415_in_plain_text",
    ),
    "B7": "not yet: no route takes a filter or an order",
    "B8": "not yet: no route takes a pattern",
    "B9": ("app/test_hostile.py::test_b9_hostile_pages_are_refused_or_harmless",),
    "B10": (
        "formats/test_oip.py::test_a_shape_that_does_not_fit_is_refused_before_anything_is_made",
        "formats/test_oip.py::test_whatever_the_data_it_is_read_or_refused_in_words",
        "protocols/test_oip.py::test_a_mistake_is_a_400_that_says_where_and_never_repeats_a_value",
        "protocols/test_oip_binary.py::test_a_mistake_is_a_400_that_says_where",
    ),
    "B11": (
        "data/test_csv.py::test_too_many_columns_are_refused_before_they_are_read",
        "data/test_sources.py::test_a_parquet_file_of_too_many_columns_is_refused",
        "formats/test_scoring.py::test_rows_with_hardly_a_column_in_common_do_not_fill_the_memory",
    ),
    "B12": "not yet: there is no GraphQL, and none is planned",
    # hosts, origins, framing
    "H1": ("app/test_hostile.py::test_heads", "net/test_inbound.py::test_who_is_answered"),
    "H2": (
        "app/test_hostile.py::test_heads",
        "app/test_listening.py::test_h2_forwarded_headers_are_believed_from_a_trusted_proxy_only",
        "app/test_listening.py::test_h2_the_model_server_believes_a_trusted_proxy_only",
        "net/test_listening.py::test_a_proxy_is_an_address_or_a_network",
    ),
    "H3": ("app/test_hostile.py::test_heads",),
    "H4": (
        "app/test_hostile.py::test_h4_pages_of_other_sites_change_nothing",
        "app/test_hostile.py::test_h4_our_own_page_and_programs_may",
        "app/test_sessions.py::test_h4_a_cookie_alone_changes_nothing",
        "app/test_sessions.py::test_h4_another_sites_page_logs_nobody_in",
    ),
    "H5": (
        "app/test_hostile.py::test_bodies",
        "net/test_inbound.py::test_the_security_headers_are_the_specifications",
        "app/test_listening.py::test_the_control_plane_speaks_tls",
        "app/test_listening.py::test_the_model_server_speaks_tls",
    ),
    "H6": (
        "app/test_hostile.py::test_heads",
        "app/test_hostile.py::test_h6_what_is_not_http_is_answered_or_closed",
        "serving/test_model_server.py::test_a_hostile_request_gets_one_4xx_with_an_error",
    ),
    # authentication
    "A1": (
        "app/test_log_in.py::test_a1_a6_every_route_refuses_who_is_unknown_or_may_not_and_answers_who_may",
        "app/test_log_in.py::test_a1_who_is_unknown_learns_no_path",
        "app/test_log_in.py::test_a_route_that_declares_nothing_keeps_the_server_from_starting",
        "app/test_hostile.py::test_a1_no_other_spelling_leads_to_a_route",
    ),
    "A2": (
        "app/test_listening.py::test_a_command_refuses_before_it_listens",
        "app/test_log_in.py::test_without_a_list_nobody_comes_in",
    ),
    "A3": (
        "app/test_log_in.py::test_a3_malformed_credentials_are_refused_alike",
        "auth/test_tokens.py::test_malformed_tokens_are_refused_alike",
    ),
    "A4": (
        "auth/test_tokens.py::test_malformed_tokens_are_refused_alike",
        "auth/test_tokens.py::test_the_right_id_with_another_tokens_secret_is_refused",
    ),
    "A5": (
        "app/test_log_in.py::test_a5_guessing_is_slowed_while_those_who_are_known_go_on",
        "app/test_sessions.py::test_a5_guessing_sessions_and_log_ins_is_slowed",
        "auth/test_doorman.py::test_ten_are_looked_at_then_waiting_doubles_up_to_a_minute",
        "auth/test_doorman.py::test_memory_and_reports_are_bounded",
    ),
    "A6": (
        "app/test_log_in.py::test_a1_a6_every_route_refuses_who_is_unknown_or_may_not_and_answers_who_may",
        "app/test_log_in.py::test_the_model_server_refuses_a_token_of_another_project",
    ),
    # deserialisation and code
    "X1": ("app/test_hostile.py::test_x1_no_body_is_unpickled", "net/test_requirements.py::test_x1_nothing_is_unpickled"),
    "X2": (
        "net/test_requirements.py::test_x1_nothing_is_unpickled",
        "inference/test_packaging.py::test_a_source_that_only_a_pickle_could_keep_is_refused",
    ),
    "X3": "not yet: there are no templates for prompts or reports",
    "X4": "not yet: no Dockerfile, manifest or shell line is generated",
    "X5": ("net/test_requirements.py::test_x5_no_shell_is_asked",),
    "X6": ("inference/test_predictor.py::test_data_in_other_files_is_refused",),
    # requests the server makes
    "S1": (
        "net/test_requirements.py::test_s1_one_client_asks_others",
        "net/test_egress.py::test_a_private_host_is_asked_only_if_it_is_allowed_by_name_and_port",
    ),
    "S2": (
        "net/test_egress.py::test_a_name_is_resolved_once_and_the_connection_goes_there",
        "net/test_egress.py::test_one_bad_address_of_a_name_is_enough",
        "net/test_egress.py::test_tls_is_checked_against_the_name_asked_for",
    ),
    "S3": (
        "net/test_egress.py::test_a_redirect_is_not_followed",
        "net/test_egress.py::test_a_hostile_spelling_is_refused_before_anything_is_sent",
    ),
    "S4": (
        "net/test_egress.py::test_no_credentials_of_the_environment_are_sent",
        "net/test_egress.py::test_an_answer_of_a_mebibyte_is_read_and_one_byte_more_refused",
        "net/test_egress.py::test_a_server_that_drips_lies_or_floods_ends_in_time",
        "net/test_egress.py::test_an_answer_is_its_status_and_a_few_escaped_letters",
    ),
    "S5": ("app/test_hostile.py::test_s5_inputs_and_locations_are_never_fetched",),
    "S6": (
        "net/test_egress.py::test_signed_json_arrives_and_the_receiver_can_check_it",
        "net/test_egress.py::test_every_part_counts_for_the_signature",
        "monitoring/alerting/test_delivering.py::test_a_receiver_that_is_private_or_refuses_fails_the_delivery",
    ),
    # output
    "O1": "not yet: no artifact is handed out over HTTP",
    "O2": (
        "app/test_hostile.py::test_heads",
        "app/test_hostile.py::test_p4_names_in_paths_are_data",
        "net/test_egress.py::test_a_header_that_would_start_another_is_refused",
    ),
    "O3": "not yet: no page is written; every answer is JSON with a policy that runs nothing",
    "O4": (
        "app/test_hostile.py::test_o4_an_unknown_path_and_method_answer_json",
        "app/test_hostile.py::test_o4_a_defect_is_told_by_a_fixed_text_and_the_log_has_the_rest",
        "app/test_hostile.py::test_bodies",
    ),
    "O5": (
        "core/test_redaction.py::test_a_secret_is_found_by_what_stands_beside_it",
        "core/test_redaction.py::test_a_secret_is_found_by_its_shape",
        "telemetry/test_logs.py::test_whatever_is_not_caught_or_warned_of_is_one_line_too",
        "formats/test_prometheus.py::test_a_label_stays_within_its_quotes",
    ),
    # exhaustion
    "D1": (
        "app/test_hostile.py::test_heads",
        "app/test_hostile.py::test_d1_half_open_requests_keep_nobody_waiting",
        "net/test_inbound.py::test_silence_in_the_middle_of_a_request_ends_the_connection_and_silence_between_requests_does_not",
        "net/test_inbound.py::test_headers_that_never_end_are_refused",
    ),
    "D2": (
        "net/test_inbound.py::test_d2_room_is_for_so_many_and_is_given_back_whatever_happens",
        "app/test_door.py::test_d2_one_request_too_many_is_told_to_come_again",
        "auth/test_doorman.py::test_d2_a_token_is_used_so_often_in_a_second_and_no_oftener",
        "serving/test_runtime.py::test_a_full_queue_says_so_and_when_to_come_back",
    ),
    "D3": ("net/test_inbound.py::test_many_values_are_refused_before_they_are_parsed",),
    "D4": ("compute/test_processes.py::test_a_child_that_dies_fails_its_call_and_no_other",),
    "D5": ("storage/test_refusals.py::test_a_full_disk_reaches_every_caller_and_nothing_more_is_lost",),
}

PARTLY = {
    "P9": "names of projects and columns come from code and files of the user's own; they are not put into normal form",
    "B11": "what is written is Parquet and tab-separated text for pipes, not CSV for spreadsheets: no apostrophes",
    "A4": "there are no accounts with passwords: a token either counts or does not, and every refusal reads alike",
    "S6": "the secret of a webhook is in the environment, not in the database",
    "B9": "a limit out of range is brought into it; where a page goes on is an id or a number, checked as such",
    "D2": "a search is not ended when its caller leaves; the lists there are have limits of their own",
    "D4": "own processes, without a limit on their memory",
    "D5": "a full disk loses nothing and is told; there are no quotas and no reserve",
}
"""What of an item is not held, beside the tests above that hold the rest."""
